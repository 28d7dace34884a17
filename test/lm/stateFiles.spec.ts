/** Files of states: what they hold, where they go, and what is refused. */
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {blobFile} from '../../src/checkpoints/bytes';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {safetensorsHeader} from '../../src/checkpoints/safetensorsWriter';
import {forkState, stateHistory, type StateHistory} from '../../src/lm/history';
import type {MambaLM} from '../../src/lm/model';
import {loadHistory, loadState, saveState} from '../../src/lm/states';
import {TextStream} from '../../src/lm/textStream';
import {byteTokenizer} from '../../src/lm/tokenizers';
import {smallModel} from './smallModel';

/** Ids and log probabilities. */
async function write(model: MambaLM, history: StateHistory, prompt: number[], maxNewTokens: number) {
  const tokens: Array<[id: number, logprob: number]> = [];
  for await (const {id, logprob} of model.generate(prompt, {history, maxNewTokens, temperature: 0})) {
    tokens.push([id, logprob]);
  }
  return tokens;
}

/** Code that is wrong in JavaScript and would not compile in TypeScript. */
type Untyped = never;

describe('the file of a state', () => {
  let model: MambaLM;
  let history: StateHistory;
  let bytes: Uint8Array<ArrayBuffer>;
  let folder: string;
  let before: number;

  beforeAll(async () => {
    registerFilePlatform(nodeFiles);
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-states-'));
    model = smallModel();
    history = stateHistory();
    await write(model, history, [1, 2, 3], 4);
    bytes = await saveState(model, history);
  });
  beforeEach(() => (before = tf.memory().numTensors));
  afterEach(() => expect(tf.memory().numTensors).toBe(before));
  afterAll(() => {
    history.dispose();
    model.dispose();
    rmSync(folder, {recursive: true});
  });

  it('is safetensors with a tensor for each part, the fingerprint and the ids', async () => {
    const {tensors, metadata} = await openSafetensors(blobFile('state', new Blob([bytes])));
    expect([...tensors].map(([name, {shape}]) => [name, shape])).toEqual([
      ['layers.0.conv', [1, 3, 12]],
      ['layers.0.ssm', [1, 12, 3]],
      ['layers.1.conv', [1, 3, 12]],
      ['layers.1.ssm', [1, 12, 3]],
    ]);
    expect(metadata.get('ids')).toBe(history.ids.join(','));
    expect(metadata.get('read')).toBe('6');
  });

  it('lies on disk in one piece, and comes from there, from bytes and from a Blob alike', async () => {
    const path = join(folder, 'deeper', 'story.state');
    await saveState(model, history, path);
    await saveState(model, history, path);
    expect(readdirSync(join(folder, 'deeper'))).toEqual(['story.state']);
    for (const source of [path, bytes, bytes.buffer, new Blob([bytes])]) {
      const loaded = await loadHistory(model, source);
      expect(loaded.ids).toEqual(history.ids);
      loaded.dispose();
    }
  });

  it('is refused by a model of other sizes, and by one that has been trained further', async () => {
    const larger = smallModel({dState: 4});
    await expectAsync(loadState(larger, bytes)).toBeRejectedWithError(
      /^loadState: the state is the state of another model, of other sizes$/,
    );
    larger.dispose();
    const trained = smallModel();
    await expectAsync(loadState(trained, bytes).then(tf.dispose)).toBeResolved();
    const weight = trained.weightsByName().get('layers.1/mixer/D')!;
    tf.tidy(() => {
      weight.write(weight.read().add(1e-6));
    });
    await expectAsync(loadState(trained, bytes)).toBeRejectedWithError(
      /the sizes are the same, but the weights differ; was it trained further\?$/,
    );
    trained.dispose();
  });

  it('is refused if anything about it is wrong', async () => {
    const {metadata} = await openSafetensors(blobFile('state', new Blob([bytes])));
    const parts = Array.from({length: 4}, (_, i) => ({
      name: `layers.${i >> 1}.${i % 2 ? 'ssm' : 'conv'}`,
      shape: i % 2 ? [1, 12, 3] : [1, 3, 12],
    }));
    /** As the right one, but for this. */
    const file = (change: object, tensors = parts) => {
      const header = safetensorsHeader(tensors, 'F32', {...Object.fromEntries(metadata), ...change});
      return new Blob([
        header,
        new Uint8Array(4 * tensors.reduce((sum, {shape}) => sum + shape[0] * shape[1] * shape[2], 0)),
      ]);
    };
    const cases: Array<[Blob, RegExp]> = [
      [file({format: 'pt'}), /is no state that saveState wrote$/],
      [file({version: '2'}), /has version 2, but this release reads 1$/],
      [file({}, parts.slice(1)), /must have 4 tensors, but has 3$/],
      [file({}, [{...parts[0], name: 'layers.7.conv'}, ...parts.slice(1)]), /lacks the tensor layers\.0\.conv$/],
      [file({}, [{...parts[0], shape: [1, 12, 3]}, ...parts.slice(1)]), /has layers\.0\.conv of shape \[1,12,3\], where \[1,3,12\] was expected$/],
      [file({}, [{...parts[0], shape: [2, 3, 12]}, ...parts.slice(1)]), /has layers\.0\.ssm of shape \[1,12,3\], where \[2,12,3\] was expected$/],
      ...['1,x,3', '1,-2,3', '1,,3', '1.5,2', '1,2]', '"1",2'].map((ids): [Blob, RegExp] => [file({ids}), /has ids that are no list of ids$/]),
      [file({read: '7'}), /has read 7, where a number from 1 to below its 7 ids was expected$/],
      [new Blob([bytes.subarray(0, bytes.length - 5)]), /is it cut off\?/],
      [new Blob([]), /too few for a safetensors file/],
    ]; // prettier-ignore
    for (const [source, message] of cases) await expectAsync(loadState(model, source)).toBeRejectedWithError(message);
    await expectAsync(loadHistory(model, file({})).then((one) => one.dispose()))
      .withContext('the right one')
      .toBeResolved();
  });

  it('has millions of ids, as it gives them', async () => {
    const ids = Array.from({length: 3e6}, (_, i) => i % 10);
    const long = stateHistory().restore(ids, {count: 9, state: forkState(history.newest.state!)});
    const loaded = await loadHistory(model, await saveState(model, long));
    expect(loaded.ids.length).toBe(ids.length);
    expect(loaded.ids.every((id, i) => id === ids[i])).toBeTrue();
    long.dispose();
    loaded.dispose();
  });

  it('says what to do where a call is wrong', async () => {
    const {logits, state} = model.prefill([[1, 2]]);
    const plain = await saveState(model, state);
    const empty = stateHistory();
    const calls: Array<[() => Promise<unknown>, RegExp]> = [
      [() => loadHistory(model, plain), /^loadHistory: the file has a state without the ids before it; loadState reads it$/],
      [() => loadState(model, join(folder, 'none')), /^loadState: there is no state at .*none$/],
      [() => loadState(model, 7 as Untyped), /^loadState: source must be bytes, a Blob or a place, but is number 7$/],
      [() => saveState(model, empty), /^saveState: the history is empty; there is no state yet$/],
      [() => saveState(model, state.slice(1)), /^saveState: state must have an entry for each of the 2 blocks, but has 1 entries$/],
      [() => saveState(model, state, 'indexeddb://x'), /^saveState: there is no IndexedDB here, which browsers have; in Node give the path of a file$/],
      [() => saveState(model, state, 'indexeddb://'), /^saveState: the place must be indexeddb:\/\/ and a name/],
      [() => model.generate([], {history: empty}).next(), /^generate: prompt must be a list of token ids/],
      [() => model.generate([1], {history: empty, state}).next(), /^generate: history has its own state; leave out state$/],
      [() => model.generate([[1], [2]], {history: empty}).next(), /^generate: history is of one prompt, but there are 2$/],
      [() => model.generate([1], {history: {} as Untyped}).next(), /^generate: history must be what stateHistory\(\) or loadHistory gives, but is Object$/],
    ]; // prettier-ignore
    for (const [call, message] of calls) await expectAsync(call()).toBeRejectedWithError(message);
    expect(() => stateHistory({depth: 0})).toThrowError(
      /^stateHistory: depth must be a positive whole number, but is 0$/,
    );
    expect(() => empty.rollBack(1)).toThrowError(
      /^StateHistory: rollBack: count must be at most the 0 tokens there are, but is 1$/,
    );
    tf.dispose([logits, state]);
  });

  it('is there for Mamba-2 too, of as many rows as the state has', async () => {
    const mamba2 = smallModel({mixer: 'mamba2', dModel: 8, headDim: 4, dState: 3});
    const {logits, state} = mamba2.prefill([
      [1, 7, 3],
      [4, 4, 0],
    ]);
    const restored = await loadState(mamba2, await saveState(mamba2, state));
    for (const [i, {conv, ssm}] of restored.entries()) {
      expect(await conv.array()).toEqual(await state[i].conv.array());
      expect(await ssm.array()).toEqual(await state[i].ssm.array());
    }
    tf.dispose([logits, state, restored]);
    mamba2.dispose();
  });

  it('is not needed for what is older than a history keeps, which is read again', async () => {
    const short = stateHistory({depth: 2});
    await write(model, short, [1, 7, 3], 8);
    const ids = [...short.ids];
    short.rollBack(6);
    const again = stateHistory();
    const [tokens, fresh] = [await write(model, short, [5], 4), await write(model, again, [...ids.slice(0, 5), 5], 4)];
    expect(tokens.map(([id]) => id)).toEqual(fresh.map(([id]) => id));
    tokens.forEach(([, logprob], i) => expect(logprob).toBeCloseTo(fresh[i][1], 3));
    short.dispose();
    again.dispose();
  });

  it('is of a history that nobody changes while it is written on, and that holds what was handed out', async () => {
    const own = stateHistory();
    const ids: number[] = [];
    for await (const {id} of model.generate([1, 2, 3], {history: own, temperature: 0})) {
      ids.push(id);
      expect(() => own.rollBack(1)).toThrowError(/in use by a generate/);
      await expectAsync(model.generate([], {history: own}).next()).toBeRejectedWithError(/in use by a generate/);
      if (ids.length === 3) break;
    }
    expect(own.ids).toEqual([1, 2, 3, ...ids]);
    own.dispose();
  });

  it('may end within a character, whose rest comes with the next token', () => {
    const [first, second, ...rest] = new TextEncoder().encode('€!');
    const stream = new TextStream(byteTokenizer(), [97, first, second]);
    expect(rest.map((id) => stream.add(id))).toEqual(['€', '!']);
    expect(stream.all()).toBe('€!');
  });
});
