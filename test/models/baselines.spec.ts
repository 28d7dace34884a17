/**
 * The baselines are held to what mixers are held to (test/mixers): in parts or step by step is one pass, padding changes nothing; and the
 * attention is compared with loops in float64. On one backend, as they have no kernels of their own.
 */
import * as tf from '@tensorflow/tfjs';
import {mambaLM} from '../../src';
import type {MambaConfig} from '../../src';
import {MixerBlock} from '../../src/layers/mixerBlock';
import type {State} from '../../src/mixers/mixer';
import {attention} from '../../models/baselines/attention';
import {baselineConfig, baselines} from '../../models/baselines';
import {built, evaluateLayer} from '../layers/layerUnderTest';
import type {Tensors} from '../layers/layerUnderTest';
import {projectionsOf} from '../ops/opUnderTest';
import {normal, seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';

const dModel = 8;
const [batch, first, length] = [3, 4, 9];
const masks = {
  past: [[1, 1, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0]],
  x: [[0, 0, 0, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1, 0, 1, 0]],
}; // prettier-ignore
const isReal = (i: number) => masks.x.flat()[Math.floor(i / dModel)] === 1;

/** What becomes of x [B,L,dModel] behind a past [B,first,dModel]. */
type Way = (block: MixerBlock) => (inputs: Tensors) => Tensors;

const onePass: Way =
  (block) =>
  ({past, x}) => ({
    y: block.run(tf.concat([past, x], 1) as tf.Tensor3D).y.slice([0, first, 0]),
  });

const inParts: Way =
  (block) =>
  ({past, x}) => {
    let {state} = block.run(past as tf.Tensor3D);
    const ys = tf.split(x, [1, 5, 3], 1).map((part) => {
      const result = block.run(part as tf.Tensor3D, state);
      state = result.state;
      return result.y;
    });
    return {y: tf.concat(ys, 1)};
  };

const stepByStep: Way = (block) => (inputs) => {
  let state: State = block.zeroState(batch);
  const ys = tf.unstack(tf.concat([inputs.past, inputs.x], 1), 1).map((token) => {
    const result = block.step(token as tf.Tensor2D, state);
    state = result.state;
    return result.y;
  });
  return {y: tf.stack(ys.slice(first), 1)};
};

const padded: Way =
  (block) =>
  ({past, x}) => {
    const {state} = block.run(past as tf.Tensor3D, undefined, tf.tensor2d(masks.past));
    const {y} = block.run(x as tf.Tensor3D, state, tf.tensor2d(masks.x));
    return {y: tf.where(tf.tensor2d(masks.x).cast('bool').expandDims(-1), y, tf.zerosLike(y))};
  };

const alone: Way = (block) => ({past, x}) => {
  const rows = masks.x.map((_, b) => {
    const mask = [...masks.past[b], ...masks.x[b]];
    const places = mask.flatMap((real, t) => (real ? [t] : []));
    const row = tf.concat([past, x], 1).slice([b, 0, 0], [1, -1, -1]);
    const {y} = block.run(tf.concat(places.map((t) => row.slice([0, t, 0], [1, 1, -1])), 1) as tf.Tensor3D);
    const spread = mask.map((real, t) => real ? y.slice([0, places.indexOf(t), 0], [1, 1, -1]) : tf.zeros([1, 1, dModel]));
    return tf.concat(spread.slice(first), 1);
  });
  return {y: tf.concat(rows)};
}; // prettier-ignore

for (const mixer of baselines) {
  describe(`the baseline ${mixer.name}`, () => {
    let block: MixerBlock;
    beforeAll(() => {
      const sizes = {heads: 2, dHidden: 6, dState: 3};
      const own = Object.entries(sizes).filter(([name]) => name in mixer.fields);
      block = built(new MixerBlock({mixer: mixer.name, seed: 5, ...Object.fromEntries(own)}), dModel);
    });
    afterAll(() => void block.dispose());

    const {output, gradient} = backendSettings();
    const inputs = () => {
      const random = seededRandom(randomSeed);
      return {past: normal(random, [batch, first, dModel]), x: normal(random, [batch, length, dModel])};
    };

    for (const [how, way] of Object.entries({'in parts': inParts, 'step by step': stepByStep})) {
      it(`gives ${how} what it gives in one pass, and the gradients`, async () => {
        const given = inputs();
        const projections = projectionsOf({y: given.x}, randomSeed);
        const expected = await evaluateLayer(block, onePass(block), given, projections);
        const actual = await evaluateLayer(block, way(block), given, projections);
        expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
        expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
      });
    }

    it('gives a padded batch behind a padded past what every row gives alone, though NaN stand at the padding', async () => {
      const given = inputs();
      const projections = projectionsOf({y: given.x}, randomSeed);
      const expected = await evaluateLayer(block, alone(block), given, projections);
      const spoilt = {...given, x: {...given.x, values: given.x.values.map((value, i) => (isReal(i) ? value : NaN))}};
      const actual = await evaluateLayer(block, padded(block), spoilt, projections);
      expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
      expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
    });

    it('has about as many weights as Mamba in a model, and generates what its passes say', async () => {
      const sizes = {vocabSize: 16, dModel: 64, nLayer: 2};
      const [model, mamba] = [baselineConfig(mixer.name, sizes), sizes].map((config) => mambaLM(config, {seed: 3}));
      expect(Math.abs(model.countParams() / mamba.countParams() - 1)).toBeLessThan(0.06);
      const ids = [3, 1, 4, 1];
      const written: number[] = [];
      for await (const {id} of model.generate(ids, {maxNewTokens: 3, temperature: 0})) written.push(id);
      for (let i = 0; i < 3; i++) {
        const last = tf.tidy(() => {
          const logits = model.apply(tf.tensor2d([ids], undefined, 'int32')) as tf.Tensor3D;
          return logits.argMax(-1).dataSync()[ids.length - 1];
        });
        ids.push(last);
      }
      expect(written).toEqual(ids.slice(4));
      model.dispose();
      mamba.dispose();
    });
  });
}

describe('the attention of the baselines', () => {
  /** One row x [L][dModel], loops and float64 throughout. */
  function reference(x: number[][], qkv: number[][], out: number[][], heads: number, base: number): number[][] {
    const width = x[0].length;
    const size = width / heads;
    const times = (v: number[], m: number[][]) => m[0].map((_, j) => v.reduce((sum, value, i) => sum + value * m[i][j], 0));
    const turned = (v: number[], t: number) =>
      v.map((value, i) => {
        const [at, half] = [i % size, size / 2];
        const angle = t * base ** (-(at % half) / half);
        const other = at < half ? -v[i + half] : v[i - half];
        return value * Math.cos(angle) + other * Math.sin(angle);
      });
    const projected = x.map((v) => times(v, qkv));
    const q = projected.map((v, t) => turned(v.slice(0, width), t));
    const k = projected.map((v, t) => turned(v.slice(width, 2 * width), t));
    return x.map((_, t) => {
      const mixed = Array.from({length: width}, (_, i) => {
        const head = Math.floor(i / size) * size;
        const score = (s: number) => q[t].slice(head, head + size).reduce((sum, a, j) => sum + a * k[s][head + j], 0);
        const shares = Array.from({length: t + 1}, (_, s) => Math.exp(score(s) / Math.sqrt(size)));
        const total = shares.reduce((a, b) => a + b);
        return shares.reduce((sum, share, s) => sum + (share / total) * projected[s][2 * width + i], 0);
      });
      return times(mixed, out);
    });
  } // prettier-ignore

  it('gives what loops in float64 give', async () => {
    const random = seededRandom(randomSeed);
    const config = attention.configure('attention', {heads: 2, ropeBase: 50}, dModel);
    const shapes = {x: [5, dModel], qkv: [dModel, 3 * dModel], out: [dModel, dModel]};
    const arrays = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, normal(random, shape)]));
    const rows = ({shape, values}: {shape: readonly number[]; values: ArrayLike<number>}) =>
      Array.from({length: shape[0]}, (_, i) => Array.from(values).slice(i * shape[1], (i + 1) * shape[1]));
    const expected = reference(rows(arrays.x), rows(arrays.qkv), rows(arrays.out), config.heads, config.ropeBase).flat();
    const y = tf.tidy(() => {
      const [x, qkv, out] = ['x', 'qkv', 'out'].map((name) => tf.tensor2d([...arrays[name].values], shapes[name as 'x'] as [number, number]));
      const dense = (value: tf.Tensor) => ({form: 'dense', value}) as const;
      return attention.run({'qkv/kernel': dense(qkv), 'out/kernel': dense(out)}, config, x.expandDims(0)).y.dataSync();
    });
    expect(mismatches({y: {shape: [5, dModel], values: Float64Array.from(y)}}, {y: {shape: [5, dModel], values: Float64Array.from(expected)}}, 1e-5)).toEqual([]);
  }); // prettier-ignore

  it('refuses heads that do not fit the width', () => {
    const config = {vocabSize: 5, dModel: 12, nLayer: 1, mixer: 'transformer', heads: 5} as MambaConfig;
    expect(() => mambaLM(config)).toThrowError('MambaConfig: heads must be such that dModel / heads is even, with dModel 12, but is 5');
  }); // prettier-ignore
});
