/** The layers without a state against the float64 references of their ops, forward and backward, and with masks. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import {LanguageHead, TokenEmbedding} from '../../src/layers/tokenEmbedding';
import type {ConvActivation} from '../../src/ops/causalConv1d/kernels';
import {causalConv1dGradReference, causalConv1dReference} from '../../src/ops/causalConv1d/reference';
import {linearGradReference, linearReference} from '../../src/ops/linear/reference';
import {rmsNormGradReference, rmsNormReference} from '../../src/ops/rmsNorm/reference';
import type {Array64, Arrays} from '../support/arrays';
import {fill, normal, reshaped, seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {evaluateLayer, setWeights, tidySpecs} from './layerUnderTest';

const [batch, length, channels] = [2, 6, 5];
const random = () => seededRandom(randomSeed);

/** A layer with the given weights, run on x: what is wrong with its outputs and gradients. */
async function wrongWith(
  layer: tf.layers.Layer,
  {x, ...weights}: Arrays,
  dy: Array64,
  expected: {y: Array64; gradients: Arrays},
  kwargs = {},
): Promise<string[]> {
  layer.apply(tf.input({shape: x.shape.slice(1)}));
  setWeights(layer, weights);
  const run = (inputs: Record<string, tf.Tensor>) => ({y: layer.apply(inputs.x, kwargs) as tf.Tensor});
  const {outputs, gradients} = await evaluateLayer(layer, run, {x}, {y: dy});
  const {output, gradient} = backendSettings();
  return [...mismatches(outputs, {y: expected.y}, output), ...mismatches(gradients, expected.gradients, gradient)];
}

/** Keeps what stands at real positions. */
function masked({shape, values}: Array64, mask: number[][]): Array64 {
  return fill(shape, (i) => values[i] * mask.flat()[Math.floor(i / shape[2])]);
}

describe('the layer', () => {
  tidySpecs();
  const x = normal(random(), [batch, length, channels]);
  const dy = normal(seededRandom(randomSeed + 1), x.shape);
  const flat = (array: Array64) => reshaped(array, [batch * length, array.shape[2]]);

  for (const activation of ['linear', 'silu'] as ConvActivation[]) {
    for (const useBias of [true, false]) {
      for (const mask of [
        undefined,
        [
          [0, 0, 1, 1, 0, 1],
          [1, 1, 1, 1, 0, 0],
        ],
      ]) {
        it(`CausalConv1D, ${activation}, useBias ${useBias}, ${mask ? 'masked' : 'without a mask'}`, async () => {
          const weight = normal(random(), [channels, 3]);
          const inputs = {weight, ...(useBias && {bias: normal(random(), [channels])})};
          const cut = (array: Array64) => (mask ? masked(array, mask) : array);
          const none = fill([batch, 2, channels], () => 0);
          const {y} = causalConv1dReference({x: cut(x), ...inputs}, activation);
          const gradients = causalConv1dGradReference({x: cut(x), ...inputs}, activation, cut(dy), none) as Arrays;
          const expected = {y: cut(y), gradients: {...gradients, x: cut(gradients.x)}};
          const layer = layers.causalConv1d({kernelSize: 3, activation, useBias});
          const kwargs = mask ? {mask: tf.tensor2d(mask)} : {};
          expect(await wrongWith(layer, {x, ...inputs}, dy, expected, kwargs)).toEqual([]);
        });
      }
    }
  }

  it('RMSNormalization, for any rank', async () => {
    for (const shape of [
      [batch, length, channels],
      [length, channels],
      [batch, 3, 2, channels],
    ]) {
      const inputs = {x: normal(random(), shape), weight: normal(random(), [channels])};
      const dy = normal(seededRandom(randomSeed + 1), shape);
      const epsilon = 0.01;
      const rows = (array: Array64) => reshaped(array, [array.values.length / channels, channels]);
      const flatInputs = {...inputs, x: rows(inputs.x)};
      const {y} = rmsNormReference(flatInputs, epsilon);
      const gradients = rmsNormGradReference(flatInputs, epsilon, rows(dy)) as Arrays;
      const expected = {y: reshaped(y, shape), gradients: {...gradients, x: reshaped(gradients.x, shape)}};
      const layer = layers.rmsNormalization({epsilon});
      expect(await wrongWith(layer, inputs, dy, expected)).toEqual([]);
    }
  });

  const table = normal(random(), [9, channels]);
  const dLogits = normal(seededRandom(randomSeed + 2), [batch, length, 9]);

  it('LanguageHead', async () => {
    const kernel = {shape: [channels, 9], values: table.values};
    const toLogits = {x: flat(x), kernel};
    const gradients = linearGradReference(toLogits, false, flat(dLogits)) as Arrays;
    const expected = {
      y: reshaped(linearReference(toLogits, false), dLogits.shape),
      gradients: {x: reshaped(gradients.x, x.shape), kernel: gradients.kernel},
    };
    const layer = new LanguageHead({vocabSize: 9, dModel: channels});
    expect(await wrongWith(layer, {x, kernel}, dLogits, expected)).toEqual([]);
  });

  it('TokenEmbedding as a head', async () => {
    const toLogits = {x: flat(x), kernel: table};
    const gradients = linearGradReference(toLogits, true, flat(dLogits)) as Arrays;
    const expected = {
      y: reshaped(linearReference(toLogits, true), dLogits.shape),
      gradients: {x: reshaped(gradients.x, x.shape), weight: gradients.kernel},
    };
    const layer = new TokenEmbedding({vocabSize: 9, dModel: channels});
    layer.apply(tf.input({shape: [length]}));
    expect(await wrongWith(layer, {x, weight: table}, dLogits, expected)).toEqual([]);
  });

  it('TokenEmbedding as a table, whose rows gather the gradients of their tokens', async () => {
    const ids = [
      [0, 8, 3, 3, 1, 0],
      [5, 3, 3, 0, 2, 7],
    ];
    const layer = new TokenEmbedding({vocabSize: 9, dModel: channels});
    layer.apply(tf.input({shape: [length]}));
    setWeights(layer, {weight: table});
    const rows = ids.flat();
    const at = (array: Array64, row: number, i: number) => array.values[row * channels + i];
    const weight = fill(table.shape, (i) => {
      const row = Math.floor(i / channels);
      return rows.reduce((sum, id, place) => sum + (id === row ? at(dy, place, i % channels) : 0), 0);
    });
    for (const dtype of ['int32', 'float32'] as const) {
      const given = tf.tensor2d(ids, undefined, dtype);
      const run = () => ({y: layer.apply(given) as tf.Tensor});
      const {outputs, gradients} = await evaluateLayer(layer, run, {}, {y: dy});
      const y = fill(dy.shape, (i) => at(table, rows[Math.floor(i / channels)], i % channels));
      expect(mismatches(outputs, {y}, 0)).toEqual([]);
      expect(mismatches(gradients, {weight}, backendSettings().gradient)).toEqual([]);
    }
  });
});

describe('padding of any content', () => {
  tidySpecs();
  const mask = [
    [0, 0, 1, 1, 1, 1],
    [1, 1, 1, 0, 1, 0],
  ];
  const isReal = (i: number) => mask.flat()[Math.floor(i / channels)] === 1;
  const made = {
    RMSNormalization: () => layers.rmsNormalization(),
    CausalConv1D: () => layers.causalConv1d({kernelSize: 3, activation: 'silu'}),
  };

  for (const [kind, make] of Object.entries(made)) {
    it(`changes no number of ${kind}, and gets no gradient`, async () => {
      const layer = make();
      layer.apply(tf.input({shape: [length, channels]}));
      const at = (array: Array64, pad: (i: number) => number): Array64 => {
        return {...array, values: array.values.map((value, i) => (isReal(i) ? value : pad(i)))};
      };
      const draw = random();
      const x = normal(draw, [batch, length, channels]);
      const dy = at(normal(draw, x.shape), () => 0);
      const run = (inputs: Record<string, tf.Tensor>) => {
        return {y: layer.apply(inputs.x, {mask: tf.tensor2d(mask)}) as tf.Tensor};
      };
      const clean = await evaluateLayer(layer, run, {x: at(x, () => 0)}, {y: dy});
      const spoilt = await evaluateLayer(layer, run, {x: at(x, (i) => [NaN, Infinity, 1e30][i % 3])}, {y: dy});
      expect(at(spoilt.outputs.y, () => 0)).toEqual(at(clean.outputs.y, () => 0));
      expect(spoilt.gradients).toEqual(clean.gradients);
      expect(spoilt.gradients.x.values.every((g, i) => isReal(i) || g === 0)).toBeTrue();
      layer.dispose();
    });
  }
});

describe('the start of a CausalConv1D', () => {
  tidySpecs();

  it('is another for every layer and every weight', async () => {
    const starts = await Promise.all(
      [0, 1].map(async () => {
        const layer = layers.causalConv1d({kernelSize: 1});
        layer.apply(tf.zeros([1, 2, 8]));
        return Promise.all(layer.getWeights().map((weight) => weight.data()));
      }),
    );
    const values = starts.flat().map((start) => start.join());
    expect(new Set(values).size).toBe(4);
  });
});
