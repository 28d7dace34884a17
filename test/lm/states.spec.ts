/** States as memory: kept, restored, forked, taken back; the same bits on every backend, and no tensor left behind. */
import * as tf from '@tensorflow/tfjs';
import type {GeneratedToken} from '../../src/lm/generate';
import {forkState, stateHistory, type StateHistory} from '../../src/lm/history';
import type {MambaLM, MambaState} from '../../src/lm/model';
import {loadHistory, loadState, saveState} from '../../src/lm/states';
import {smallModel} from './smallModel';

async function valuesOf(state: MambaState): Promise<number[][]> {
  const tensors = state.flatMap((parts) => Object.values(parts));
  return Promise.all(tensors.map(async (tensor) => [...(await tensor.data())]));
}

/** Ids and log probabilities, so that a single bit of the state would show. */
async function write(model: MambaLM, history: StateHistory, prompt: number[], maxNewTokens: number, seed = 1) {
  const tokens: GeneratedToken[] = [];
  for await (const token of model.generate(prompt, {history, maxNewTokens, seed, temperature: 1.5})) tokens.push(token);
  return tokens.map(({id, logprob}) => [id, logprob]);
}

describe('a state', () => {
  let model: MambaLM;
  let before: number;

  beforeEach(() => {
    before = tf.memory().numTensors;
    model = smallModel();
  });
  afterEach(() => {
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is the same bits after restoring, in a model of its own too, and goes on the same', async () => {
    const other = smallModel();
    const {logits, state} = model.prefill([
      [1, 7, 3, 9, 2],
      [4, 4, 0, 8, 5],
    ]);
    const restored = await loadState(other, await saveState(model, state));
    expect(await valuesOf(restored)).toEqual(await valuesOf(state));
    const [undisturbed, next] = [model.step([1, 2], state), other.step([1, 2], restored)];
    expect(await next.logits.array()).toEqual(await undisturbed.logits.array());
    const fork = forkState(state);
    tf.dispose(state);
    expect(await valuesOf(fork)).toEqual(await valuesOf(restored));
    tf.dispose([logits, restored, undisturbed, next, fork]);
    other.dispose();
  });

  it('of a history goes on as if nothing had been between, live, forked, restored or taken back', async () => {
    const history = stateHistory();
    await write(model, history, [1, 7, 3, 9], 4);
    expect(history.ids.length).toBe(8);
    expect(history.ids.slice(0, 4)).toEqual([1, 7, 3, 9]);
    const fork = history.fork();
    const bytes = await saveState(model, history);
    const restored = await loadHistory(model, bytes);
    const wanted = await write(model, history, [], 3, 2);
    expect(await write(model, fork, [], 3, 2)).toEqual(wanted);
    expect(await write(model, restored, [], 3, 2)).toEqual(wanted);
    expect(restored.ids).toEqual(history.ids);
    const all = [...history.ids];
    expect(history.rollBack(3)).toEqual(all.slice(-3));
    expect(await write(model, history, [], 3, 2)).toEqual(wanted);
    // A plain state has read every id.
    const state = await loadState(model, bytes);
    const pass = model.prefill([all.slice(0, 8)]);
    const [given, expected] = [await valuesOf(state), await valuesOf(pass.state)];
    given.flat().forEach((value, i) => expect(value).toBeCloseTo(expected.flat()[i], 4));
    tf.dispose([state, pass]);
    [history, fork, restored].forEach((one) => one.dispose());
  });
});
