/**
 * Steps that are sent before the token that they follow is known, as generation does on WebGPU for one row that takes the likeliest: the
 * tokens, the states and the tensors held are those of one step after the other.
 */
import * as tf from '@tensorflow/tfjs';
import {addAdapter} from '../../src/adapters';
import type {GenerateOptions} from '../../src/lm/generate';
import {stateHistory} from '../../src/lm/history';
import type {MambaLM, MambaState} from '../../src/lm/model';
import {logSumExp} from '../../src/lm/sampling';
import {smallModel} from './smallModel';

const VOCABULARY = 11;
const prompt = [1, 7, 3];

/** Called after each token, before the next is asked for. */
type OnToken = (index: number) => unknown;

/** Greedy tokens and their log probabilities by one step after the other, each waited for, from where a history begins; and the states before each. */
async function byStep(model: MambaLM, count: number, onToken: OnToken = () => {}) {
  const tokens: Array<{id: number; logprob: number}> = [];
  const states: number[][] = [];
  const start = model.prefill([prompt.slice(0, -1)]);
  let {logits, state} = model.step(prompt.slice(-1), start.state);
  tf.dispose(start);
  for (let index = 0; ; index++) {
    const all = await logits.data();
    const real = [...all].slice(0, VOCABULARY);
    const id = real.indexOf(Math.max(...real));
    tokens.push({id, logprob: real[id] - logSumExp(all)});
    states.push(await valuesOf(state));
    onToken(index);
    if (tokens.length === count) break;
    const next = model.step([id], state);
    tf.dispose([logits, state] as tf.TensorContainer);
    ({logits, state} = next);
  }
  tf.dispose([logits, state] as tf.TensorContainer);
  return {tokens, states};
}

async function collect(model: MambaLM, options: GenerateOptions, onToken: OnToken = () => {}) {
  const tokens: Array<{id: number; logprob: number}> = [];
  for await (const {id, logprob, index} of model.generate(prompt, {temperature: 0, stopTokens: [], ...options})) {
    tokens.push({id, logprob});
    onToken(index);
  }
  return tokens;
}

async function valuesOf(state: MambaState): Promise<number[]> {
  const parts = await Promise.all(state.flatMap(({conv, ssm}) => [conv.data(), ssm.data()]));
  return parts.flatMap((values) => [...values]);
}

function expectSame(actual: Awaited<ReturnType<typeof collect>>, expected: typeof actual): void {
  expect(actual.map(({id}) => id)).toEqual(expected.map(({id}) => id));
  actual.forEach(({logprob}, i) => expect(logprob).toBeCloseTo(expected[i].logprob, 4));
}

describe('steps sent ahead', () => {
  let model: MambaLM;
  let before: number;

  beforeEach(() => {
    before = tf.memory().numTensors;
    model = lively();
  });
  afterEach(() => {
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  /** Fresh weights repeat the last token, as blocks add little to the embedding that is also the head. */
  function lively(): MambaLM {
    const made = smallModel();
    for (const [name, weight] of made.weightsByName()) {
      if (name.endsWith('outProj/kernel')) tf.tidy(() => void weight.write(weight.read().mul(300)));
    }
    return made;
  }

  it('are there on webgpu, where one prompt takes the likeliest, and nowhere else', async () => {
    const step = spyOn(model, 'step').and.callThrough();
    await collect(model, {maxNewTokens: 5});
    const isAhead = () => step.calls.allArgs().some(([ids]) => ids instanceof tf.Tensor);
    expect(isAhead()).toBe(tf.getBackend() === 'webgpu');
    step.calls.reset();
    for await (const token of model.generate([[1], [2, 3]], {temperature: 0, maxNewTokens: 5})) void token;
    await collect(model, {topK: 3, temperature: 1, seed: 1, maxNewTokens: 5});
    expect(isAhead()).toBeFalse();
  });

  if (process.env['TFJS_MAMBA_BACKEND'] !== 'webgpu') return;

  it('are asked for no more often than there are tokens, and none before the first', async () => {
    const {tokens} = await byStep(model, 9);
    const step = spyOn(model, 'step').and.callThrough();
    const early: boolean[] = [];
    expectSame(await collect(model, {maxNewTokens: 9}, (index) => index === 0 && early.push(step.calls.any())), tokens);
    expect(early).toEqual([false]);
    expect(new Set(tokens.map(({id}) => id)).size).toBeGreaterThan(1);
    expect(step).toHaveBeenCalledTimes(8);
  });

  it('leave nothing when a row ends before they are used: at a stop token, an abort, a break, an error', async () => {
    const {tokens} = await byStep(model, 8);
    const stop = tokens.findIndex(({id}, i) => i > 2 && tokens.findIndex((other) => other.id === id) === i);
    const numTensors = tf.memory().numTensors;
    if (stop > 0) {
      expectSame(await collect(model, {stopTokens: [tokens[stop].id]}), tokens.slice(0, stop));
      expect(tf.memory().numTensors).toBe(numTensors);
    }
    const controller = new AbortController();
    const onToken = (index: number) => index === 4 && controller.abort(new Error('enough'));
    await expectAsync(collect(model, {signal: controller.signal}, onToken)).toBeRejectedWithError('enough');
    expect(tf.memory().numTensors).toBe(numTensors);
    const held = new Set<number>();
    for await (const {index} of model.generate(prompt, {temperature: 0, maxNewTokens: 30, stopTokens: []})) {
      if (index > 2) held.add(tf.memory().numTensors);
      if (index === 8) break;
    }
    expect(held.size).withContext('the same number at every token').toBe(1);
    expect(tf.memory().numTensors).toBe(numTensors);
    const weight = model.weightsByName().get('normF/weight')!;
    const breakIt = (index: number) => index === 4 && tf.tidy(() => void weight.write(tf.fill([6], NaN)));
    await expectAsync(collect(model, {}, breakIt)).toBeRejectedWithError(
      /^generate: the logits of token 5 of row 0 are not finite/,
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('leave a history the state of each token that was given, to go on from as if there had been no more', async () => {
    const {tokens, states} = await byStep(model, 10);
    const history = stateHistory();
    const written: typeof tokens = [];
    for await (const {id, logprob} of model.generate(prompt, {temperature: 0, stopTokens: [], history})) {
      written.push({id, logprob});
      if (written.length === 6) break;
    }
    expect(history.newest.count).toBe(prompt.length + 5);
    expect(await valuesOf(history.newest.state!)).toEqual(states[5]);
    const rest = model.generate([], {temperature: 0, stopTokens: [], maxNewTokens: 4, history});
    for await (const {id, logprob} of rest) written.push({id, logprob});
    expectSame(written, tokens);
    expect(await valuesOf(history.newest.state!)).toEqual(states[9]);
    history.dispose();
  });

  it('are sent anew when weights change on the way, or are corrected', async () => {
    const other = lively();
    const change =
      (changed: MambaLM): OnToken =>
      (index) => {
        const weight = changed.weightsByName().get('layers.0/mixer/outProj/kernel')!;
        if (index === 3) tf.tidy(() => void weight.write(weight.read().mul(-30)));
        if (index === 6) {
          addAdapter(changed, {rank: 2, seed: 1});
          const up = [...changed.weightsByName()].find(([name]) => name.endsWith('loraUp'))![1];
          tf.tidy(() => void up.write(tf.ones(up.shape as number[])));
        }
      };
    const still = await collect(model, {maxNewTokens: 10});
    const {tokens} = await byStep(other, 10, change(other));
    other.dispose();
    expectSame(await collect(model, {maxNewTokens: 10}, change(model)), tokens);
    expect(tokens).not.toEqual(still);
  });
});
