/**
 * Decoding natively, with matrices in whatever form: the step of all blocks in one call, and the decoder that has the embedding, the head and
 * the state besides, against the model's own definition, op by op.
 */
import * as tf from '@tensorflow/tfjs';
import type {GenerateOptions} from '../../src/lm/generate';
import type {MambaLM, MambaState} from '../../src/lm/model';
import type {FromPretrainedOptions} from '../../src/lm/pretrained';
import {fromPretrained} from '../../src/lm/pretrained';
import {readWeight} from '../../src/lm/weightValues';
import {addAdapter} from '../../src/adapters';
import type {Arrays} from '../support/arrays';
import {readAndDispose} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';
import {fromSaved, ids, saved, source, tied} from './packedModels';
import {smallModel} from './smallModel';

type Held = FromPretrainedOptions['weights'];

/** What runs without the kernels of a whole stack. */
async function opByOp<T>(work: () => Promise<T>): Promise<T> {
  const kernels = ['MambaStep', 'Mamba2Step'].map((name) => tf.getKernel(name, 'tensorflow'));
  kernels.forEach(({kernelName}) => tf.unregisterKernel(kernelName, 'tensorflow'));
  try {
    return await work();
  } finally {
    kernels.forEach((kernel) => tf.registerKernel(kernel));
  }
}

const named = (states: MambaState) =>
  Object.fromEntries(
    states.flatMap((parts, i) => Object.entries(parts).map(([name, part]) => [`${name} of block ${i}`, part])),
  );

/** Logits and states after a few steps from a prompt. */
async function bySteps(model: MambaLM): Promise<Arrays> {
  let {state, logits} = model.prefill(ids);
  for (const id of [1, 2, 3]) {
    tf.dispose(logits);
    const next = model.step([id, id + 1], state);
    tf.dispose(state);
    ({state, logits} = next);
  }
  return readAndDispose({logits, ...named(state)});
}

/** The same by a decoder. */
async function byDecoder(model: MambaLM): Promise<Arrays> {
  const {state, logits} = model.prefill(ids);
  const decoder = model.openDecoder(state)!;
  tf.dispose([state, logits] as tf.TensorContainer);
  let values = new Float32Array(0);
  for (const id of [1, 2, 3]) values = Float32Array.from(decoder.nextLogits([id, id + 1]));
  const after = decoder.states() as MambaState;
  expect(decoder.isCurrent).toBeTrue();
  decoder.close();
  expect(() => decoder.nextLogits([1, 2])).toThrowError(/^there is no decoder \d+$/);
  return readAndDispose({logits: tf.tensor2d(values, logits.shape), ...named(after)});
}

async function collect(model: MambaLM, prompt: number[] | number[][], options: GenerateOptions, onToken = () => {}) {
  const tokens: string[] = [];
  for await (const {row, id, logprob} of model.generate(prompt, options)) {
    tokens.push(`${row}:${id}:${logprob.toFixed(3)}`);
    onToken();
  }
  return tokens;
}

/** As `collect`, by steps that give tensors. */
async function collectBySteps(model: MambaLM, ...rest: [number[] | number[][], GenerateOptions, (() => void)?]) {
  const shown = Object.defineProperty(model, 'openDecoder', {value: undefined, configurable: true});
  try {
    return await collect(model, ...rest);
  } finally {
    delete (shown as Partial<MambaLM>).openDecoder;
  }
}

describe('decoding natively', () => {
  for (const folder of [tied, 'mamba2_g2_untied']) {
    for (const weights of ['float32', 'bfloat16', 'int8'] as Held[]) {
      it(`${folder} in ${weights} gives what its ops give one by one`, async () => {
        const before = tf.memory().numTensors;
        const model = await fromPretrained(source(folder), {weights});
        const expected = await opByOp(() => bySteps(model));
        const {kernels} = await tf.profile(() => bySteps(model) as unknown as tf.TensorContainer);
        expect(kernels.some(({name}) => /^Mamba2?Step$/.test(name))).toBeTrue();
        const tolerance = 2 * backendSettings().output;
        expect(mismatches(await bySteps(model), expected, tolerance)).toEqual([]);
        expect(mismatches(await byDecoder(model), expected, tolerance)).toEqual([]);
        model.dispose();
        expect(tf.memory().numTensors).toBe(before);
      });
    }
  }

  it('bfloat16 is the nearest that a file would hold, in half of the memory, and saves as floats', async () => {
    const before = tf.memory().numBytes;
    const model = await fromPretrained(source(tied), {weights: 'bfloat16'});
    const bytes = tf.memory().numBytes - before;
    const floats = await fromPretrained(source(tied));
    const rounded = await fromPretrained(fromSaved(await saved(floats, {dtype: 'bfloat16'})));
    let halved = 0;
    for (const [name, variable] of floats.weightsByName()) {
      if (!/kernel$|embeddings/.test(name)) continue;
      expect(await readWeight(model, name))
        .withContext(name)
        .toEqual(await readWeight(rounded, name));
      halved += 2 * variable.read().size;
    }
    expect(bytes).toBe(4 * floats.countParams() - halved);
    const again = await fromPretrained(fromSaved(await saved(model)), {weights: 'bfloat16'});
    expect(mismatches(await bySteps(again), await bySteps(model), 0)).toEqual([]);
    [model, floats, rounded, again].forEach((each) => each.dispose());
  });

  const options: GenerateOptions[] = [
    {temperature: 0},
    {topK: 4, seed: 1},
    {topP: 0.9, seed: 2},
    {repetitionPenalty: 1.5, seed: 4},
  ];
  for (const given of options) {
    it(`chooses what steps choose, ${JSON.stringify(given)}, with rows that end on the way`, async () => {
      const model = smallModel();
      // Fresh weights repeat the last token, as blocks add little to the embedding that is also the head.
      for (const [name, weight] of model.weightsByName()) {
        if (name.endsWith('outProj/kernel')) tf.tidy(() => void weight.write(weight.read().mul(300)));
      }
      const before = tf.memory().numTensors;
      const prompts = [[1, 2, 3], [4], [5, 6]];
      const all = {...given, maxNewTokens: 12, stopTokens: [3, 7]};
      const expected = await collectBySteps(model, prompts, all);
      expect(await collect(model, prompts, all)).toEqual(expected);
      expect(new Set(expected.map((token) => token.split(':')[1])).size).toBeGreaterThan(1);
      expect(tf.memory().numTensors).toBe(before);
      model.dispose();
    });
  }

  it('goes on with weights that change on the way, or are corrected', async () => {
    const change = (model: MambaLM) => {
      let count = 0;
      return () => {
        count++;
        const weight = model.weightsByName().get('layers.0/mixer/outProj/kernel')!;
        if (count === 3) tf.tidy(() => void weight.write(weight.read().mul(-30)));
        if (count === 6) {
          addAdapter(model, {rank: 2, seed: 1});
          const up = [...model.weightsByName()].find(([name]) => name.endsWith('loraUp'))![1];
          tf.tidy(() => void up.write(tf.ones(up.shape as number[])));
        }
      };
    };
    const results: string[][] = [];
    for (const run of [collect, collectBySteps]) {
      const model = smallModel();
      results.push(await run(model, [1, 2, 3], {temperature: 0, maxNewTokens: 9, stopTokens: []}, change(model)));
      model.dispose();
    }
    const still = smallModel();
    expect(results[0]).toEqual(results[1]);
    expect(results[0]).not.toEqual(await collect(still, [1, 2, 3], {temperature: 0, maxNewTokens: 9, stopTokens: []}));
    still.dispose();
  });

  it('refuses ids outside the vocabulary and another number of them', async () => {
    const model = smallModel();
    const {state, logits} = model.prefill([[1], [2]]);
    const decoder = model.openDecoder(state)!;
    expect(() => decoder.nextLogits([1, 16])).toThrowError('ids must be in [0, 16), but one is 16');
    expect(() => decoder.nextTop([-1, 1], 2, 11)).toThrowError('ids must be in [0, 16), but one is -1');
    expect(() => decoder.nextTop([1], 2, 11)).toThrowError(/there must be/);
    decoder.close();
    tf.dispose([state, logits] as tf.TensorContainer);
    model.dispose();
  });
});
