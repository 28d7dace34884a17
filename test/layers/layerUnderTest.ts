/** What the specs of the layers share: a built layer, its weights by name, and its outputs and gradients. */
import * as tf from '@tensorflow/tfjs';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import * as layers from '../../src/layers';
import {projected} from '../ops/opUnderTest';
import type {Array64, Arrays, Random} from '../support/arrays';
import {fill, mapValues, normal, readAndDispose, toTensor, uniform} from '../support/arrays';

/** Tensors by name. */
export type Tensors = Record<string, tf.Tensor>;

/** The two layers with a state, which most specs hold for. */
export const recurrentLayers = {Mamba: layers.mamba, MambaBlock: layers.mambaBlock};

/** Gives a layer its weights, for inputs [batch, any length, dModel]. */
export function built<L extends tf.layers.Layer>(layer: L, dModel: number): L {
  layer.apply(tf.input({shape: [null, dModel]}));
  return layer;
}

/** A weight's name in its layer, `inProj/kernel` of `mamba_1/inProj/kernel`; in a wrapper the wrapped layer's name stays. */
export function nameOf(layer: tf.layers.Layer, {originalName}: tf.layers.Layer['weights'][number]): string {
  return originalName.slice(originalName.lastIndexOf(`${layer.name}/`) + layer.name.length + 1);
}

/** A layer's weights by their names in the layer, whatever their order. */
export function weightsOf(layer: tf.layers.Layer): Record<string, tf.Variable> {
  return Object.fromEntries(layer.weights.map((weight) => [nameOf(layer, weight), weight.read() as tf.Variable]));
}

/** Sets a layer's weights; every one must be given. */
export function setWeights(layer: tf.layers.Layer, values: Arrays): void {
  const weights = weightsOf(layer);
  const names = [Object.keys(values), Object.keys(weights)].map((list) => list.sort().join(', '));
  if (names[0] !== names[1]) {
    throw new Error(`The layer has the weights ${names[1]}, not ${names[0]}`);
  }
  tf.tidy(() => Object.entries(values).forEach(([name, value]) => weights[name].assign(toTensor(value))));
}

export async function readWeights(layer: tf.layers.Layer): Promise<Arrays> {
  return readAndDispose(mapValues(weightsOf(layer), (variable) => variable.clone()));
}

/** Weights such as training leaves: none is zero or one, and the steps are large enough to matter in a short sequence. */
export function trainedWeights(layer: tf.layers.Layer, random: Random): Arrays {
  return mapValues(weightsOf(layer), ({shape}, path): Array64 => {
    const name = path.replace('mixer/', '');
    if (name === 'ALog' && shape.length === 2) {
      return fill(shape, (i) => Math.log(1 + (i % shape[1])) + 0.3 * (random() - 0.5));
    }
    if (name === 'dtProj/bias') {
      return uniform(random, shape, -4, 0);
    }
    const scale = shape.length === 2 ? 1 / Math.sqrt(name === 'conv/weight' ? shape[1] : shape[0]) : 0.5;
    return name === 'D' || name === 'norm/weight' ? uniform(random, shape, 0.5, 1.5) : normal(random, shape, scale);
  });
}

/** A built layer with such weights. */
export function trainedLayer<L extends Mamba>(layer: L, dModel: number, random: Random): L {
  built(layer, dModel);
  setWeights(layer, trainedWeights(layer, random));
  return layer;
}

/** A sequence for a layer, and a state to start from. */
export function randomInputs(
  random: Random,
  {batch, length, dModel}: {batch: number; length: number; dModel: number},
  {dConv, dInner, dState}: {dConv: number; dInner: number; dState: number},
): {x: Array64; conv: Array64; ssm: Array64} {
  return {
    x: normal(random, [batch, length, dModel]),
    conv: normal(random, [batch, dConv - 1, dInner]),
    ssm: normal(random, [batch, dInner, dState]),
  };
}

/** Names the outputs of a layer that returns its states. */
export function withStates(outputs: unknown): {y: tf.Tensor; conv: tf.Tensor; ssm: tf.Tensor} {
  const [y, conv, ssm] = outputs as tf.Tensor[];
  return {y, conv, ssm};
}

/** The states that hold numbers; with dConv = 1 the convolution has none. */
export function nonEmpty<T extends {shape: readonly number[]}>(arrays: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(arrays).filter(([, {shape}]) => !shape.includes(0)));
}

/**
 * Runs a function of named tensors and a layer's weights, and the gradient of its projected outputs with respect to each of them.
 *
 * @throws Error if it leaves tensors behind.
 */
export async function evaluateLayer(
  layer: tf.layers.Layer,
  f: (inputs: Tensors) => Tensors,
  inputs: Arrays,
  projections: Arrays,
): Promise<{outputs: Arrays; gradients: Arrays}> {
  const before = tf.memory().numTensors;
  const variables = mapValues(inputs, (array) => tf.tidy(() => tf.variable(toTensor(array))));
  const {outputs, gradients} = tf.tidy(() => {
    const dys = mapValues(projections, toTensor);
    const sources = {...variables, ...weightsOf(layer)};
    const {grads} = tf.variableGrads(() => projected(f(variables), dys), Object.values(sources));
    const found = Object.entries(sources).filter(([, {name}]) => grads[name]); // a frozen one has null
    return {
      outputs: f(variables),
      gradients: Object.fromEntries(found.map(([name, variable]) => [name, grads[variable.name]])),
    };
  });
  tf.dispose(variables);
  const result = {outputs: await readAndDispose(outputs), gradients: await readAndDispose(gradients)};
  const leaked = tf.memory().numTensors - before;
  if (leaked !== 0) {
    throw new Error(`${leaked} tensors were left behind`);
  }
  return result;
}

/** The options of a mixer, without those that say what goes in and comes out. */
export type Sizes = Pick<MambaLayerArgs, 'dState' | 'dConv' | 'expand' | 'dInner' | 'dtRank' | 'convBias' | 'useBias'>;

/** Call in a `describe`: tensors that a spec leaves are disposed after it. Weights are variables, and stay. */
export function tidySpecs(): void {
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());
}
