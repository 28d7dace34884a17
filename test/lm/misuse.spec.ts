/** Calls that mean nothing: errors of ours, which name the argument, before any work. */
import * as tf from '@tensorflow/tfjs';
import type {FromPretrainedOptions} from '../../src/lm/pretrained';
import {fromPretrained, savePretrained} from '../../src/lm/pretrained';
import {tokenWindows} from '../../src/training/data';
import {trainer} from '../../src/training/trainer';
import {backendSettings} from '../support/settings';
import {smallModel} from './smallModel';

const isSource = 'source must be a URL, a Hub id, a path or an object {name, open(file)}, but is';
const noSignal = 'signal must be an AbortSignal, but is "x"';
const windows = 'tokenWindows: the argument must be an object with batchSize, length, order, seed, but is';
const iterators = 'must have an iterator(), as tokenWindows and tf.data.Dataset have';

describe('a call that means nothing', () => {
  const model = smallModel();
  const ofModel = trainer(model, {optimizer: tf.train.sgd(0.1)});
  const data = tokenWindows([1, 2, 3], {batchSize: 1, length: 2});
  const fit = (options: unknown) => ofModel.fit(data, options as never);
  const load = (source: unknown, options?: FromPretrainedOptions | null) => fromPretrained(source as string, options!);
  const cases: [string, () => unknown, string][] = [
    ['fromPretrained({})', () => load({}), `fromPretrained: ${isSource} Object`],
    ['fromPretrained(null)', () => load(null), `fromPretrained: ${isSource} null`],
    ['fromPretrained()', () => load(undefined), `fromPretrained: ${isSource} undefined`],
    ['fromPretrained(5)', () => load(5), `fromPretrained: ${isSource} number 5`],
    [
      'fromPretrained(x, null)',
      () => load('x', null),
      'fromPretrained: the argument must be an object with onProgress, signal, revision, cache, timeout, token, weights, but is null',
    ],
    ['fromPretrained: signal', () => load('x', {signal: 'x' as never}), `fromPretrained: ${noSignal}`],
    ['savePretrained: signal', () => savePretrained(model, 'x', {signal: 'x' as never}), `savePretrained: ${noSignal}`],
    ['tokenWindows(tokens)', () => tokenWindows([1, 2], undefined as never), `${windows} undefined`],
    ['tokenWindows(tokens, null)', () => tokenWindows([1, 2], null as never), `${windows} null`],
    ...([undefined, null, 'text', 7, {}] as unknown[]).map((tokens): [string, () => unknown, string] => [
      `tokenWindows of ${JSON.stringify(tokens)}`,
      () => tokenWindows(tokens as number[], {batchSize: 1, length: 1}),
      `tokenWindows: tokens must be an array of token ids, but is ${
        {text: '"text"', 7: 'number 7'}[String(tokens)] ?? (tokens ? 'Object' : String(tokens))
      }`,
    ]),
    ...[1.5, NaN, 2 ** 40].map((token): [string, () => unknown, string] => [
      `tokenWindows of a token ${token}`,
      async () => (await tokenWindows([1, token, 2], {batchSize: 1, length: 2}).iterator()).next(),
      `tokenWindows: tokens must hold whole numbers of 32 bits, but has ${token} at 1`,
    ]),
    ['fit: signal', () => fit({steps: 1, signal: 'x'}), `trainer: ${noSignal}`],
    [
      'fit: null',
      () => fit(null),
      'trainer: the argument must be an object with steps, callbacks, reportEvery, validation, checkpoint, signal, verbose, but is null',
    ],
    [
      'fit: a callback',
      () => fit({steps: 1, callbacks: {onStep: 'log'}}),
      'trainer: callbacks.onStep must be a function, but is "log"',
    ],
    [
      'fit: a misspelt callback',
      () => fit({steps: 1, callbacks: {onstep: () => {}}}),
      'trainer: callbacks: unknown argument onstep; expected onStep, onValidation, onCheckpoint; did you mean onStep?',
    ],
    [
      'fit: checkpoint null',
      () => fit({steps: 1, checkpoint: null}),
      'trainer: checkpoint.target must have save(files) and load()',
    ],
    [
      'fit: validation null',
      () => fit({steps: 1, validation: null}),
      'trainer: validation.every must be a positive whole number, but is undefined',
    ],
    ['evaluate(null)', () => ofModel.evaluate(null as never), `trainer: dataset ${iterators}`],
    [
      'evaluate: null',
      () => ofModel.evaluate(data, null as never),
      'trainer: the argument must be an object with batches, but is null',
    ],
    [
      'evaluate: batches',
      () => ofModel.evaluate(data, {batches: 0}),
      'trainer: batches must be a positive whole number, but is 0',
    ],
  ];
  for (const [name, call, message] of cases) {
    it(`is refused: ${name}`, async () => {
      const before = tf.memory().numTensors;
      await expectAsync((async () => call())()).toBeRejectedWithError(message);
      expect(tf.memory().numTensors).toBe(before);
    });
  }

  if (backendSettings().refusesValues) {
    it('is refused: predict of ids that are not whole', () => {
      const ids = tf.tensor2d([[1, 1.5]]);
      const before = tf.memory().numTensors;
      for (const call of ['predict', 'predictOnBatch', 'apply'] as const) {
        expect(() => model[call](ids)).toThrowError('MambaLM: ids must hold integers, but has 1.5');
      }
      expect(tf.memory().numTensors).toBe(before);
      ids.dispose();
    });
  }

  it('is none: predict of whole ids, of whatever dtype', async () => {
    const [whole, float] = [tf.tensor2d([[1, 2]], undefined, 'int32'), tf.tensor2d([[1, 2]])];
    const [a, b] = [model.predict(whole) as tf.Tensor, model.predict(float) as tf.Tensor];
    expect(await a.data()).toEqual(await b.data());
    tf.dispose([whole, float, a, b]);
  });
});
