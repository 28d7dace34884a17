/**
 * Padding, wherever it is: a padded batch gives on its real positions the outputs and the gradients that each sequence gives alone,
 * and the states that it leaves; padding gets no gradient, and none of what stands there matters.
 */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import {projectionsOf} from '../ops/opUnderTest';
import type {Arrays} from '../support/arrays';
import {fill, mapValues, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches, relativeError} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import type {Tensors} from './layerUnderTest';
import {
  evaluateLayer,
  nonEmpty,
  randomInputs,
  recurrentLayers,
  tidySpecs,
  trainedLayer,
  weightsOf,
  withStates,
} from './layerUnderTest';

const dModel = 5;
const length = 7;

/** 1 at real positions. */
const rows: Record<string, number[]> = {
  nowhere: [1, 1, 1, 1, 1, 1, 1],
  'on the left': [0, 0, 0, 1, 1, 1, 1],
  'on the right': [1, 1, 1, 1, 1, 0, 0],
  'on both sides': [0, 0, 1, 1, 1, 0, 0],
  'in between': [1, 0, 1, 1, 0, 0, 1],
  'everywhere but at one place': [0, 0, 1, 0, 0, 0, 0],
  everywhere: [0, 0, 0, 0, 0, 0, 0],
};
const mask = Object.values(rows);
const batch = mask.length;
const maskTensor = () => tf.tensor2d(mask, [batch, length], 'int32');
const realPositions = (row: number[]) => row.flatMap((real, t) => (real ? [t] : []));

/** What one layer gives for [x, conv, ssm]: y [B,L,dModel] (or [B,dModel]), and the states. */
type Run = (layer: Mamba, inputs: Tensors) => {y: tf.Tensor; conv: tf.Tensor; ssm: tf.Tensor};

/** In the order of the input: a layer that reads backwards gives its output in the order it reads. */
const inOrder = (layer: Mamba, y: tf.Tensor) => (layer.goBackwards ? y.reverse(1) : y);

/** All rows at once, with a mask; what comes out at padding is no concern of this file. */
const padded: Run = (layer, {x, ...state}) => {
  const outputs = withStates(layer.apply(x, {mask: maskTensor(), ...named(state)}));
  return {...outputs, y: inOrder(layer, outputs.y).mul(maskTensor().toFloat().expandDims(-1))};
};

const named = ({conv, ssm}: Tensors) => (ssm ? {initialState: [conv, ssm]} : {});

/** Each row alone, without its padding; where all is padding, the state is left as it was. */
const alone: Run = (layer, {x, conv, ssm}) => {
  const results = mask.map((row, b) => {
    const rowOf = (t: tf.Tensor) => t.slice([b, 0, 0], [1, t.shape[1]!, t.shape[2]!]);
    const start: Tensors = ssm ? {conv: rowOf(conv), ssm: rowOf(ssm)} : {...layer.zeroState(1)};
    const places = realPositions(row);
    if (places.length === 0) {
      return {y: tf.zeros([1, length, dModel]), conv: start.conv, ssm: start.ssm};
    }
    const real = tf.concat(
      places.map((t) => x.slice([b, t, 0], [1, 1, dModel])),
      1,
    );
    const outputs = withStates(layer.apply(real, named(start)));
    const y = inOrder(layer, outputs.y);
    const at = (i: number) => y.slice([0, i, 0], [1, 1, dModel]);
    const spread = row.map((isReal, t) => (isReal ? at(places.indexOf(t)) : tf.zeros([1, 1, dModel])));
    return {...outputs, y: tf.concat(spread, 1)};
  });
  const join = (name: 'y' | 'conv' | 'ssm') => tf.concat(results.map((result) => result[name]));
  return {y: join('y'), conv: join('conv'), ssm: join('ssm')};
};

/** The inputs of a run; without a state only x. */
function inputsFor(layer: Mamba, withState: boolean): {inputs: Arrays; projections: Arrays} {
  const random = seededRandom(randomSeed);
  const all = {...randomInputs(random, {batch, length, dModel}, layer.mixerConfig)};
  const projections = projectionsOf({y: all.x, conv: all.conv, ssm: all.ssm}, randomSeed);
  return {inputs: withState ? nonEmpty(all) : {x: all.x}, projections: nonEmpty(projections)};
}

/** With dConv = 1 the convolution has no state to differentiate. */
function run(taken: Run, layer: Mamba, withState: boolean) {
  const {dConv, dInner} = layer.mixerConfig;
  return (given: Tensors): Tensors => {
    const noPast: Tensors = withState && dConv === 1 ? {conv: tf.zeros([batch, 0, dInner])} : {};
    return nonEmpty({...taken(layer, {...given, ...noPast})});
  };
}

const variants: Array<{args: MambaLayerArgs; withState: boolean}> = [
  ...[1, 2, 3, 4].flatMap((dConv) => [
    {args: {dConv, dState: 3}, withState: false},
    {args: {dConv, dState: 3}, withState: true},
  ]),
  {args: {dConv: 3, dState: 1, useBias: true, convBias: false}, withState: true},
  {args: {dConv: 3, dState: 2, useBias: true}, withState: false},
  {args: {dConv: 4, dState: 3, goBackwards: true}, withState: true},
];

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`${kind} of a padded batch`, () => {
    tidySpecs();

    for (const {args, withState} of variants) {
      const from = withState ? 'a state' : 'zero';
      it(`gives what every row gives alone: ${JSON.stringify(args)} from ${from}`, async () => {
        const layer = trainedLayer(make({...args, returnState: true}) as Mamba, dModel, seededRandom(randomSeed + 1));
        const {inputs, projections} = inputsFor(layer, withState);
        const actual = await evaluateLayer(layer, run(padded, layer, withState), inputs, projections);
        const expected = await evaluateLayer(layer, run(alone, layer, withState), inputs, projections);
        const {output, gradient} = backendSettings();
        expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
        expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
        layer.dispose();
      });
    }

    it('sends no gradient into padding', async () => {
      const layer = trainedLayer(make({returnState: true}) as Mamba, dModel, seededRandom(randomSeed + 1));
      const {inputs, projections} = inputsFor(layer, true);
      const {gradients} = await evaluateLayer(layer, run(padded, layer, true), inputs, projections);
      const atPadding = gradients.x.values.filter((_, i) => mask.flat()[Math.floor(i / dModel)] === 0);
      expect(atPadding.length).toBe(dModel * mask.flat().filter((real) => real === 0).length);
      expect(atPadding.every((g) => g === 0)).toBeTrue();
      layer.dispose();
    });

    it('gives the same numbers whatever stands at padding', async () => {
      const layer = trainedLayer(make({returnState: true}) as Mamba, dModel, seededRandom(randomSeed + 1));
      const {inputs, projections} = inputsFor(layer, true);
      const other = fill(inputs.x.shape, (i) => (mask.flat()[Math.floor(i / dModel)] ? inputs.x.values[i] : 1000 - i));
      const before = await evaluateLayer(layer, run(padded, layer, true), inputs, projections);
      const after = await evaluateLayer(layer, run(padded, layer, true), {...inputs, x: other}, projections);
      expect(mismatches(after.outputs, before.outputs, 0)).toEqual([]);
      expect(mismatches(after.gradients, before.gradients, 0)).toEqual([]);
      layer.dispose();
    });

    for (const withState of [true, false]) {
      it(`gives at padding what zero input gives, ${withState ? 'from a state' : 'from zero'}`, async () => {
        const args = {dState: 3, useBias: true, returnState: true};
        const layer = trainedLayer(make(args) as Mamba, dModel, seededRandom(randomSeed + 1));
        const {x, ...state} = mapValues(inputsFor(layer, withState).inputs, toTensor);
        const {y} = withStates(layer.apply(x, {mask: maskTensor(), ...named(state)}));
        const bias = Object.entries(weightsOf(layer)).find(([name]) => name.endsWith('outProj/bias'))![1];
        const expected = kind === 'MambaBlock' ? x.add(bias) : tf.zerosLike(x).add(bias);
        const padding = tf.sub(1, maskTensor()).toFloat().expandDims(-1);
        const read = await readAndDispose({y: y.mul(padding), expected: expected.mul(padding)});
        expect(mismatches({y: read.y}, {y: read.expected}, backendSettings().output)).toEqual([]);
        layer.dispose();
      });
    }

    it('without returnSequences gives the last real position', async () => {
      const random = seededRandom(randomSeed + 1);
      const all = trainedLayer(make({returnState: true}) as Mamba, dModel, random);
      const last = trainedLayer(make({returnSequences: false}) as Mamba, dModel, seededRandom(randomSeed + 1));
      const {x} = inputsFor(all, false).inputs;
      const tensor = toTensor(x);
      const given = tf.tidy(() => ({
        all: withStates(all.apply(tensor, {mask: maskTensor()})).y,
        last: last.apply(tensor, {mask: maskTensor()}) as tf.Tensor,
      }));
      tensor.dispose();
      const read = await readAndDispose(given);
      mask.slice(0, -1).forEach((row, b) => {
        const from = (b * length + Math.max(...realPositions(row))) * dModel;
        const expected = read.all.values.subarray(from, from + dModel);
        expect(relativeError(read.last.values.subarray(b * dModel, (b + 1) * dModel), expected)).toBe(0);
      });
      all.dispose();
      last.dispose();
    });
  });
}

describe('a mask', () => {
  tidySpecs();
  const x = () =>
    tf.tensor3d(
      [...Array(2 * 4 * 3).keys()].map((i) => (i < 6 || i >= 18 ? 0 : Math.sin(i))),
      [2, 4, 3],
    );
  const given = [
    [0, 0, 1, 1],
    [1, 1, 0, 0],
  ];

  async function expectSame(actual: tf.Tensor, expected: tf.Tensor): Promise<void> {
    const read = await readAndDispose({actual, expected});
    expect(mismatches({y: read.actual}, {y: read.expected}, 0)).toEqual([]);
  }

  it('of tf.layers.masking reaches the layer', async () => {
    const layer = layers.mamba({returnSequences: false});
    const model = tf.sequential({layers: [tf.layers.masking({maskValue: 0, inputShape: [4, 3]}), layer]});
    const input = x();
    await expectSame(model.predict(input) as tf.Tensor, layer.apply(input, {mask: tf.tensor2d(given)}) as tf.Tensor);
    const unmasked = await readAndDispose({y: layer.apply(input) as tf.Tensor});
    const masked = await readAndDispose({y: model.predict(input) as tf.Tensor});
    expect(masked).not.toEqual(unmasked);
    model.dispose();
    input.dispose();
  });

  it('of tf.layers.embedding reaches the layers of a stack', async () => {
    const stack = [layers.mambaBlock(), layers.rmsNormalization(), layers.mamba({returnSequences: false})] as const;
    const ids = tf.tensor2d([
      [0, 0, 3, 1],
      [2, 1, 0, 0],
    ]);
    const embedding = tf.layers.embedding({inputDim: 4, outputDim: 3, maskZero: true, inputLength: 4});
    const model = tf.sequential({layers: [embedding, ...stack]});
    const mask = tf.tensor2d(given);
    const expected = tf.tidy(() => {
      const block = stack[0].apply(embedding.apply(ids), {mask}) as tf.Tensor;
      return stack[2].apply(stack[1].apply(block), {mask}) as tf.Tensor;
    });
    await expectSame(model.predict(ids) as tf.Tensor, expected);
    tf.dispose([ids, mask]);
    model.dispose();
  });

  // Not shown by a model: tfjs leaves a mask that it has handed to one layer with all that follow, announced or not.
  it('is announced for the sequence alone', () => {
    const mask = tf.tensor2d(given);
    for (const make of Object.values(recurrentLayers)) {
      const announced = (args: MambaLayerArgs) => make(args).computeMask(x(), [mask]) as unknown;
      expect(announced({})).toBe(mask);
      expect(announced({returnSequences: false})).toBeNull();
      expect(announced({returnState: true})).toEqual([mask, null, null]);
      expect(announced({returnState: true, returnSequences: false})).toEqual([null, null, null]);
      expect(make({}).computeMask(x()) as unknown).toBeNull();
    }
    for (const layer of [layers.rmsNormalization(), layers.causalConv1d({kernelSize: 2})]) {
      expect(layer.supportsMasking).toBeTrue();
      expect(layer.computeMask(x(), mask) as unknown).toBe(mask);
    }
  });

  it('may be of booleans', async () => {
    const layer = layers.mamba();
    const input = x();
    const numbers = tf.tensor2d(given);
    const booleans = numbers.cast('bool');
    await expectSame(
      layer.apply(input, {mask: booleans}) as tf.Tensor,
      layer.apply(input, {mask: numbers}) as tf.Tensor,
    );
    tf.dispose([input, numbers, booleans]);
    layer.dispose();
  });
});
