/**
 * The files of training checkpoints, damaged in every way: an error that names the file and the field or array, with model, optimizer
 * and trainer as they were, and never a half or another run.
 */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {adamW} from '../../src/training/adamW';
import type {CheckpointFiles, TrainingStore} from '../../src/training/checkpoint';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import {decodeRun} from '../../src/training/checkpointFiles';
import {tokenWindows} from '../../src/training/data';
import {trainer} from '../../src/training/trainer';
import {numbers, regressionData, regressor, smallText, squaredError} from './models';

type Json = Record<string, unknown>;
interface Description extends Json {
  model: Json[];
  optimizer: Json[];
}

const json = 'training.json';
const make = () => trainer(regressor(), {optimizer: adamW({learningRate: 0.05}), loss: squaredError});

async function goodFiles(): Promise<CheckpointFiles> {
  const store = memoryCheckpoints();
  await make().fit(regressionData(2), {steps: 2, checkpoint: {target: store}});
  return (await store.load())!;
}

/** The files with an edited description, whose own digest is taken out, as in files of the first release. */
function edited(files: CheckpointFiles, edit: (description: Description) => void): CheckpointFiles {
  const description = JSON.parse(new TextDecoder().decode(files[json])) as Description;
  delete description['sha256'];
  edit(description);
  return {...files, [json]: new TextEncoder().encode(JSON.stringify(description))};
}

function flipped(files: CheckpointFiles, file: string, at: number, bit = 1): CheckpointFiles {
  const bytes = files[file].slice();
  bytes[at] ^= bit;
  return {...files, [file]: bytes};
}

describe('a training checkpoint', () => {
  let files: CheckpointFiles;
  beforeAll(async () => (files = await goodFiles()));

  /** Tries to go on from the files; the error's message. */
  async function refusal(changed: CheckpointFiles): Promise<string> {
    const ofModel = make();
    const before = await numbers(ofModel.model.getWeights());
    const tensors = tf.memory().numTensors;
    const target = {load: async () => changed, save: async () => {}};
    const message = await ofModel.fit(regressionData(2), {steps: 4, checkpoint: {target}}).then(
      () => 'no error',
      (error: Error) => error.message,
    );
    expect(tf.memory().numTensors).toBe(tensors);
    expect(await numbers(ofModel.model.getWeights())).toEqual(before);
    expect(ofModel.step).toBe(0);
    return message;
  }

  const of = `trainer: ${json} of the checkpoint: `;
  const edits: [string, (description: Description) => void, string][] = [
    ['step of text', (it) => (it['step'] = 'x'), `${of}step must be a whole number of 0 or more, but is "x"`],
    ['step of 1.5', (it) => (it['step'] = 1.5), `${of}step must be a whole number of 0 or more, but is number 1.5`],
    ['step below 0', (it) => (it['step'] = -1), `${of}step must be a whole number of 0 or more, but is number -1`],
    ['no step', (it) => delete it['step'], `${of}step must be a whole number of 0 or more, but is undefined`],
    ['no data', (it) => delete it['data'], `${of}data must be the position of the data, but is undefined`],
    [
      'an optimizer of number 3',
      (it) => (it['optimizerKind'] = 3),
      `${of}optimizerKind must be the class of an optimizer, but is number 3`,
    ],
    ['no model', (it) => delete (it as Json)['model'], `${of}model must be a list of arrays, but is undefined`],
    ['model null', (it) => ((it as Json)['model'] = null), `${of}model must be a list of arrays, but is null`],
    [
      'optimizer {}',
      (it) => ((it as Json)['optimizer'] = {}),
      `${of}optimizer must be a list of arrays, but is Object`,
    ],
    ['array null', (it) => ((it as Json)['model'] = [null]), `${of}model[0] must be an object, but is null`],
    ['array a list', (it) => ((it as Json)['model'] = [[]]), `${of}model[0] must be an object, but is Array`],
    ['no name', (it) => delete it.model[1]['name'], `${of}model[1].name must be a name, but is undefined`],
    [
      'a name twice',
      (it) => (it.model[1]['name'] = it.model[0]['name']),
      `${of}model[1].name must be there once, but hidden/kernel is there twice`,
    ],
    [
      'a shape of text',
      (it) => (it.optimizer[2]['shape'] = '3,5'),
      `${of}optimizer[2].shape must be a list of whole numbers, but is "3,5"`,
    ],
    [
      'a shape below 0',
      (it) => (it.model[0]['shape'] = [-3, -5]),
      `${of}model[0].shape must be a list of whole numbers, but is Array`,
    ],
    [
      'another dtype',
      (it) => (it.model[0]['dtype'] = 'float64'),
      `${of}model[0].dtype must be float32 or int32, but is "float64"`,
    ],
    [
      'a digest that is none',
      (it) => (it.model[0]['sha256'] = 'abc'),
      `${of}model[0].sha256 must be a SHA-256 of 64 digits, but is "abc"`,
    ],
    ['what nobody knows', (it) => (it['steps'] = 4), `${of}steps is not known`],
    ['what nobody knows of an array', (it) => (it.model[0]['size'] = 4), `${of}model[0].size is not known`],
    [
      'a shape of more than there is',
      (it) => (it.model[0]['shape'] = [1e9, 1e6]),
      'trainer: model.bin of the checkpoint must have 4000000000000108 bytes, but has 168',
    ],
    [
      'another kind of optimizer',
      (it) => (it.optimizer[1]['name'] = 'counts'),
      'adamW: setWeights takes what getWeights of an adamW gave: iter, steps, all moments m, all moments v',
    ],
  ];
  for (const [name, edit, message] of edits) {
    it(`with ${name} is refused: ${message}`, async () => {
      expect(await refusal(edited(files, edit))).toBe(message);
    });
  }

  it('with a position that the data does not know is refused', async () => {
    const model = () =>
      tf.sequential({layers: [tf.layers.embedding({inputDim: 7, outputDim: 7, inputShape: [4], name: 'e'})]});
    const fit = (
      files: CheckpointFiles | undefined,
      order: 'random' | 'sequential',
      save: TrainingStore['save'] = async () => {},
    ) =>
      trainer(model(), {optimizer: adamW({learningRate: 0.1})}).fit(
        tokenWindows(smallText, {batchSize: 2, length: 4, order}),
        {steps: 2, checkpoint: {target: {load: async () => files, save}}},
      );
    for (const [order, positions, expected] of [
      [
        'random',
        [null, 3, {}, {row: 1}, {random: [0, 0, 0, 0]}, {random: [1, 2, 3]}, {random: ['1', 2, 3, 4]}],
        'four words',
      ],
      ['sequential', [null, 'x', {}, {row: -1}, {row: 1.5}, {random: [1, 2, 3, 4]}], 'a whole number'],
    ] as const) {
      let saved: CheckpointFiles | undefined;
      await fit(undefined, order, async (files) => void (saved = files));
      for (const position of positions) {
        const changed = edited(saved!, (it) => (it['data'] = position));
        await expectAsync(fit(changed, order)).toBeRejectedWithError(
          new RegExp(
            `^trainer: training\\.json of the checkpoint: data does not fit the dataset: tokenWindows: .*${expected}`,
          ),
        );
      }
    }
  });

  it('with a flipped bit in an array is refused, naming the file and the array', async () => {
    expect(await refusal(flipped(files, 'model.bin', 70))).toBe(
      `trainer: model.bin of the checkpoint: hidden/bias is damaged; its SHA-256 is not the one in ${json}`,
    );
    expect(await refusal(flipped(files, 'optimizer.bin', 0))).toBe(
      `trainer: optimizer.bin of the checkpoint: iter is damaged; its SHA-256 is not the one in ${json}`,
    );
  });

  it('with an altered description is refused', async () => {
    const text = new TextDecoder().decode(files[json]);
    expect(text).toContain('"step":2');
    const bytes = new TextEncoder().encode(text.replace('"step":2', '"step":3'));
    const damaged = `${of}its SHA-256 is not the one it states: it is damaged`;
    expect(await refusal({...files, [json]: bytes})).toBe(damaged);
    const spaced = JSON.stringify(JSON.parse(text), null, 1);
    expect(await refusal({...files, [json]: new TextEncoder().encode(spaced)})).toBe(damaged);
  });

  it('with weights or moments that are no numbers is refused, digests or not', async () => {
    for (const [file, name] of [
      ['model.bin', 'hidden/kernel has NaN at 0'],
      ['optimizer.bin', 'hidden/kernel/m has NaN at 0'],
    ]) {
      const bytes = files[file].slice();
      const at = file === 'model.bin' ? 0 : 4 * 7; // behind iter and six counts
      new DataView(bytes.buffer).setFloat32(at, NaN, true);
      const bare = edited(files, (it) => [...it.model, ...it.optimizer].forEach((entry) => delete entry['sha256']));
      const message = await refusal({...bare, [file]: bytes});
      expect(message.replace(/_\d+/, '')).toBe(`trainer: ${file} of the checkpoint: ${name}`);
    }
  });

  it('of what is no bytes is refused', async () => {
    expect(await refusal({...files, 'model.bin': 'text' as never})).toBe(
      'trainer: model.bin of the checkpoint must be a Uint8Array, but is "text"',
    );
  });

  it('of another optimizer is refused, whichever it is; of one that names none it is as before', async () => {
    const made = [tf.train.sgd(0.01), tf.train.momentum(0.01, 0.9), tf.train.adam(0.01), adamW({learningRate: 0.01})];
    const fitted = (optimizer: tf.Optimizer, store: TrainingStore, steps: number) =>
      trainer(regressor(), {optimizer, loss: squaredError}).fit(regressionData(2), {
        steps,
        checkpoint: {target: store},
      });
    for (const one of made) {
      const store = memoryCheckpoints();
      await fitted(one, store, 1);
      for (const other of made) {
        const [was, is] = [one, other].map((optimizer) => optimizer.getClassName());
        const message = `trainer: the checkpoint is of another optimizer: of ${was}, but this one is ${is}`;
        const fit = fitted(other, {load: store.load, save: async () => {}}, 2);
        if (one === other) expect((await fit).step).toBe(2);
        else await expectAsync(fit).toBeRejectedWithError(message);
      }
      const old = edited((await store.load())!, (it) => delete it['optimizerKind']);
      const target = {load: async () => old, save: async () => {}};
      expect((await fitted(one, target, 2)).step).toBe(2);
    }
    const old = edited(files, (it) => delete it['optimizerKind']);
    await expectAsync(fitted(made[2], {load: async () => old, save: async () => {}}, 4)).toBeRejectedWithError(
      /of another optimizer: of AdamW, but this one is Adam$/,
    );
    made.forEach((optimizer) => optimizer.dispose());
  });

  it('of the first release, without digests, is gone on from', async () => {
    const old = edited(files, (it) => {
      delete it['optimizerKind'];
      [...it.model, ...it.optimizer].forEach((entry) => delete entry['sha256']);
    });
    const ends = [];
    for (const each of [files, old]) {
      const ofModel = make();
      const target = {load: async () => each, save: async () => {}};
      expect((await ofModel.fit(regressionData(2), {steps: 4, checkpoint: {target}})).step).toBe(4);
      ends.push(await numbers(ofModel.model.getWeights()));
    }
    expect(ends[1]).toEqual(ends[0]);
  });

  it('holds what the public SHA-256 gives', async () => {
    const {createHash} = await import('node:crypto');
    const {model} = JSON.parse(new TextDecoder().decode(files[json])) as Description;
    const kernel = files['model.bin'].slice(0, 4 * 15);
    expect(model[0]['sha256']).toBe(createHash('sha256').update(kernel).digest('hex'));
  });

  it('with bytes changed, cut or added at random: an error that names a file, or the same run', async () => {
    const original = JSON.stringify(await decodeRun(files));
    const edit = fc.record({at: fc.double({min: 0, max: 1, noNaN: true}), byte: fc.nat(255)});
    const mutation = fc.record({
      file: fc.constantFrom(json, json, 'model.bin', 'optimizer.bin'),
      edits: fc.array(edit, {minLength: 1, maxLength: 4}),
      keep: fc.oneof(
        {weight: 5, arbitrary: fc.constant(1)},
        {weight: 1, arbitrary: fc.double({min: 0, max: 1, noNaN: true})},
      ),
      tail: fc.oneof(
        {weight: 5, arbitrary: fc.constant(new Uint8Array(0))},
        {weight: 1, arbitrary: fc.uint8Array({maxLength: 3})},
      ),
    });
    let refused = 0;
    const largest = watchAllocations();
    const property = fc.asyncProperty(mutation, async ({file, edits, keep, tail}) => {
      const bytes = files[file].slice();
      for (const {at, byte} of edits) bytes[Math.floor(at * (bytes.length - 1))] = byte;
      const changed = Uint8Array.from([...bytes.subarray(0, Math.ceil(keep * bytes.length)), ...tail]);
      try {
        return JSON.stringify(await decodeRun({...files, [file]: changed})) === original;
      } catch (error) {
        refused++;
        return /^trainer: (training\.json|model\.bin|optimizer\.bin|the checkpoint has version)/.test(
          (error as Error).message,
        );
      }
    });
    try {
      await fc.assert(property, {numRuns: 5000});
    } finally {
      largest.restore();
    }
    expect(refused).toBeGreaterThan(4500);
    expect(largest.bytes()).toBeLessThan(1 << 20);
  });
});

/** Sees the size of every Float32Array and Uint8Array that is made by length. */
function watchAllocations(): {bytes(): number; restore(): void} {
  const originals = {Float32Array, Uint8Array};
  let largest = 0;
  const watch = <T extends typeof Float32Array | typeof Uint8Array>(type: T): T =>
    new Proxy(type, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0] * target.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  Object.assign(globalThis, {Float32Array: watch(Float32Array), Uint8Array: watch(Uint8Array)});
  return {bytes: () => largest, restore: () => void Object.assign(globalThis, originals)};
}
