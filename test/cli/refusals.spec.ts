/** Wishes that cannot be met and mistakes at the edge of what is meant: each is refused, or told, and never passed over in silence. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/node';
import {
  adamW,
  addAdapter,
  folderCheckpoints,
  fromPretrained,
  layers,
  memoryCheckpoints,
  openData,
  packedBatches,
  saveAdapter,
  savePretrained,
  saveState,
  stateHistory,
  tokenWindows,
  trainer,
} from '../../src/node';
import {checkTrains} from '../../src/cli/fits';
import {call} from './call';
import {letters, smallFolder} from './smallFolder';

describe('what cannot be meant', () => {
  let folder: string;
  let source: string;
  let model: MambaLM;
  const at = (...names: string[]) => join(folder, ...names);
  const file = (name: string, text: string) => {
    writeFileSync(at(name), text);
    return at(name);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-refusals-'));
    source = await smallFolder(at('model'), letters, 32);
    model = await fromPretrained(source);
    file('a-file', 'not a folder');
    mkdirSync(at('a-folder'));
    file('text.txt', 'the quick brown fox jumps over the lazy dog '.repeat(20));
    file('empty.txt', '');
    file('short.txt', 'abc');
    file('plain.jsonl', '{"text": "abc abc abc"}\n'.repeat(4));
    file('one.txt', 'a');
  });
  afterAll(() => {
    model.dispose();
    rmSync(folder, {recursive: true});
  });

  const open = (name: string, more: object = {}) =>
    openData(at(name), {tokenizer: letters, batchSize: 2, length: 8, ...more});

  it('is refused by the functions, with the argument, what was expected and what was given', async () => {
    const history = stateHistory();
    history.dispose();
    const generate = async () => {
      for await (const part of model.generate('a', {maxNewTokens: 1, history})) void part;
    };
    const state = model.zeroState(1);
    const stateful = trainer(model, {optimizer: adamW({learningRate: 0.1}), stateful: true});
    const random = tokenWindows([1, 2, 3, 4, 5], {batchSize: 1, length: 2});
    const ids = [1, 2, 3, 4, 5, 6, 7, 8];
    const moved = async () => {
      const {state: position} = await tokenWindows(ids, {batchSize: 2, length: 2}).iterator();
      return tokenWindows(ids, {batchSize: 2, length: 3}).iterator(position());
    };
    const packed = await fromPretrained(source, {weights: 'int8'});
    const cases: [string, () => unknown, RegExp][] = [
      ['an adapter of nothing', () => addAdapter(model, {targets: []}), /^addAdapter: targets must be a list of names, one at least, .*, but is \[\]$/],
      ['a rank above the width', () => addAdapter(model, {rank: 1000}), /^addAdapter: rank must be at most \d+, the larger side of .*, but is 1000$/],
      ['a seed of an adapter', () => addAdapter(model, {seed: 1.5}), /^addAdapter: seed must be a whole number, but is number 1\.5$/],
      ['a seed of a layer', () => layers.mamba({seed: 1.5}), /^Mamba: seed must be a whole number, but is 1\.5$/],
      ['a history after dispose', generate, /^generate: the history has been disposed; stateHistory\(\) makes a new one$/],
      ['its rollBack', () => history.rollBack(0), /^rollBack: the history has been disposed/],
      ['its fork', () => history.fork(), /^fork: the history has been disposed/],
      ['saving it', () => saveState(model, history), /^saveState: the history has been disposed/],
      ['stateful over random windows', () => stateful.fit(random, {steps: 1}), /^trainer: stateful carries states .* 'continuous' do, but dataset has rows that do not$/],
      ['stateful over packed rows', () => stateful.fit(packedBatches([[1, 2, 3]], {batchSize: 1, length: 3}), {steps: 1}), /^trainer: stateful /],
      ['training 8 bits', () => trainer(packed, {optimizer: adamW({learningRate: 0.1})}).fit(random, {steps: 1}), /^trainer: model must have weights in floats, .* 8 bits, which do not train; addAdapter/],
      ['a position of another length', moved, /^tokenWindows: the position is of data with length 2, but here it is 3; a run goes on with the data it was begun with$/],
      ['an empty text', () => open('empty.txt'), /^openData: .*empty\.txt gives no tokens, but there must be one to learn after another$/],
      ['a text of one token', () => open('one.txt'), /^openData: .*one\.txt gives one token, but there/],
      ['a short text to train on', () => open('short.txt'), /^openData: .*short\.txt gives 3 tokens, but a row takes 9; a smaller length takes fewer$/],
      ['a masked prompt of plain text', () => open('text.txt', {maskPrompt: true}), /^openData: maskPrompt is for examples with a prompt, such as JSON lines, but .*text\.txt is text$/],
      ['a masked prompt of lines without', () => open('plain.jsonl', {maskPrompt: true}), /^openData: maskPrompt is for examples with a prompt, but none of .*plain\.jsonl has one$/],
      ['a model over a file', () => savePretrained(model, at('a-file')), /^savePretrained: target must be a folder, or a place for one, but at .*a-file a file is in its way$/],
      ['a model below a file', () => savePretrained(model, at('a-file', 'x')), /^savePretrained: target must be a folder, .* a file is in its way$/],
      ['a state over a folder', () => saveState(model, state, at('a-folder')), /^saveState: target must be a file, or a place for one, but at .*a-folder a folder is in its way$/],
      ['a state below a file', () => saveState(model, state, at('a-file', 'x')), /^saveState: target must be a file, .* a file is in its way$/],
      ['checkpoints over a file', () => folderCheckpoints(at('a-file')).save({x: new Uint8Array(1)}), /^folderCheckpoints: folder must be a folder, or a place for one, but at .*a-file a file is in its way$/],
      ['checkpoints of a file', () => folderCheckpoints(at('a-file')).load(), /^folderCheckpoints: folder must be a folder, /],
    ]; // prettier-ignore
    for (const [name, work, message] of cases) {
      await expectAsync(Promise.resolve().then(work)).withContext(name).toBeRejectedWithError(message);
    }
    addAdapter(model, {rank: 32});
    await expectAsync(saveAdapter(model, at('a-file'))).toBeRejectedWithError(
      /^saveAdapter: target must be a folder, /,
    );
    tf.dispose(state);
    model.dispose();
    model = await fromPretrained(source);
    packed.dispose();
  });

  it('goes on with data of the same cut alone, also by a trainer', async () => {
    const target = memoryCheckpoints();
    const ids = Array.from({length: 40}, (_, i) => i % 20);
    const fit = (length: number) =>
      trainer(model, {optimizer: adamW({learningRate: 0.01})}).fit(tokenWindows(ids, {batchSize: 2, length}), {
        steps: 2,
        checkpoint: {target},
        verbose: 0,
      });
    expect((await fit(4)).step).toBe(2);
    await expectAsync(fit(5)).toBeRejectedWithError(
      /: tokenWindows: the position is of data with length 4, but here it is 5/,
    );
  });

  it('measures a text that is shorter than a window', async () => {
    const data = await open('short.txt', {order: 'sequential'});
    expect(data.train!.evaluation.size).toBe(1);
    await data.close();
    const {code, out, err} = await call(['eval', '--model', source, '--data', at('short.txt'), '--json']);
    expect([code, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toEqual(jasmine.objectContaining({tokens: 3, loss: jasmine.any(Number)}));
  });

  it('is refused by the commands in one line', async () => {
    const finetune = [
      'finetune',
      '--model',
      source,
      '--data',
      at('text.txt'),
      '--adapter-path',
      at('adapter'),
      '--iters',
      '1',
    ];
    const cases: [string[], number, RegExp][] = [
      [['generate', '--model', source, '--state', at('a-folder'), 'a'], 2, /^tfjs-mamba generate: --state must be a file, or a place for one, but .*a-folder is a folder$/],
      [['generate', '--model', at('text.txt'), 'a'], 1, /text\.txt .*is no model/],
      [[...finetune, '--num-layers', '9'], 2, /^tfjs-mamba finetune: --num-layers must be at most the 2 blocks that the model has, or -1 for all, but is 9$/],
      [[...finetune, '--lora-rank', '1000'], 1, /^tfjs-mamba finetune: addAdapter: rank must be at most \d+/],
      [[...finetune, '--mask-prompt'], 1, /^tfjs-mamba finetune: openData: maskPrompt is for examples with a prompt/],
      [['eval', '--model', source, '--data', at('empty.txt')], 1, /^tfjs-mamba eval: openData: .*empty\.txt gives no tokens/],
    ]; // prettier-ignore
    for (const [args, expected, message] of cases) {
      const {code, err} = await call(args);
      expect(code).withContext(args.join(' ')).toBe(expected);
      expect(err.trimEnd()).withContext(args.join(' ')).toMatch(message);
      expect(err.match(/\n/g)!.length).withContext(err).toBe(1);
    }
  });

  it('is refused where training cannot fit the backend, with the sizes', () => {
    const billion = 1e9;
    expect(() => checkTrains('wasm', billion)).toThrowError(
      'training takes 16.00 GB for weights, gradients and moments, and what a batch keeps, but the wasm backend holds 3.50 GB at most; ' +
        '--backend tensorflow or cpu holds more; a smaller model, or an adapter of finetune, takes less',
    );
    expect(() => checkTrains('cpu', 1e15)).toThrowError(
      / but the cpu backend holds [\d.]+ GB at most; a smaller model/,
    );
    expect(() => checkTrains('wasm', 0.8 * billion, 1e6)).not.toThrow(); // an adapter
  });

  it('tells sizes of small models, and what they take in 8 bits', async () => {
    const {out} = await call(['quantize', '--model', source, '--save-path', at('small-int8')]);
    expect(out).toMatch(/: \d[\d.]* kB, \d+ % of float32\n$/);
    const layersModel = at('layers');
    expect((await call(['convert', '--model', source, '--out', layersModel, '--to', 'layers'])).code).toBe(0);
    const {code} = await call(['convert', '--model', source, '--out', at('halves'), '--dtype', 'bfloat16']);
    expect(code).toBe(0);
    for (const [folder, types, words] of [
      [source, ['F32'], 'F32 (32-bit)'],
      [at('halves'), ['BF16'], 'BF16 (16-bit)'],
      [at('small-int8'), ['Q8_0', 'F32'], 'Q8_0 (8-bit) and F32 (32-bit)'],
    ] as const) {
      expect(JSON.parse((await call(['info', folder, '--json'])).out)).toEqual(
        jasmine.objectContaining({stored: types}),
      );
      expect((await call(['info', folder])).out).toContain(`, in the layout of huggingface, stored as ${words}\n`);
    }
    const [a, b] = await Promise.all(
      [source, layersModel].map(async (of) => {
        return JSON.parse((await call(['info', of, '--json'])).out) as {format: string; memory: {weights: number}};
      }),
    );
    expect(a.format).not.toBe(b.format);
    expect(b.format).toBe('tf.LayersModel');
    expect(a.memory).toEqual(b.memory);
    expect((await call(['info', source])).out).toMatch(
      /weights +[\d.]+ kB in float32, [\d.]+ kB with --weights int8\n/,
    );
  });
});
