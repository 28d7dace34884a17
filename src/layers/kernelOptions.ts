/**
 * How the kernels of a layer's linear maps start, and what holds them small, in all the forms that `tf.layers` takes: which reads and
 * writes them here too, since TensorFlow.js exports none of that. It is read off a dense layer that is never built.
 */
import * as tf from '@tensorflow/tfjs';
import {show} from '../mixers/fields';

type DenseArgs = Parameters<typeof tf.layers.dense>[0];
type AddWeight = Parameters<tf.layers.Layer['addWeight']>;

/** What `tf.layers` takes of kernels. Its convolution and its coefficients are no kernels in this sense. */
export interface KernelOptions {
  /**
   * How the kernels of the linear maps start in place of the paper's U(±1/√fanIn), as in `tf.layers.dense`: a name or one of
   * `tf.initializers`, whose seed is its own. That of the step sizes starts by `dtInit` in any case.
   */
  kernelInitializer?: DenseArgs['kernelInitializer'];
  /**
   * What the kernels of the linear maps add to the loss of `fit`, as in `tf.layers.dense`: one of `tf.regularizers`, or 'l1l2'. Within
   * `tf.layers.bidirectional` TensorFlow.js 4.22 leaves it out, as it does for its own layers.
   */
  kernelRegularizer?: DenseArgs['kernelRegularizer'];
}

/** The same, read. */
export interface Kernels {
  initializer?: AddWeight[3];
  regularizer?: AddWeight[4];
  /** For `getConfig`: what was given, as TensorFlow.js serializes it. */
  config: tf.serialization.ConfigDict;
}

const names = ['kernelInitializer', 'kernelRegularizer'] as const;
export const kernelOptionNames: readonly string[] = names;

/** @throws Error naming the layer and the option that TensorFlow.js does not know. */
export function readKernelOptions(layer: string, given: KernelOptions): Kernels {
  const read: Partial<Record<(typeof names)[number], unknown>> = {};
  const config: tf.serialization.ConfigDict = {};
  for (const name of names) {
    const value = given[name];
    if (value === undefined || value === null) continue;
    const dense = denseWith(layer, name, value);
    read[name] = (dense as unknown as typeof read)[name];
    config[name] = dense.getConfig()[name];
  }
  return {
    initializer: read.kernelInitializer as AddWeight[3],
    regularizer: read.kernelRegularizer as AddWeight[4],
    config,
  };
}

function denseWith(layer: string, name: string, value: unknown): tf.layers.Layer {
  try {
    return tf.layers.dense({units: 1, name, [name]: value}); // with a name, so that no count of layers goes up
  } catch (error) {
    throw new Error(`${layer}: ${name} must be one that tf.layers.dense knows, but is ${show(value)}`, {cause: error});
  }
}
