/**
 * A weight that knows its form. What mixers multiply by may be a plain tensor, a packed one of few bits, or one with a low-rank
 * correction; they do not look. {@link linear} and {@link embedding} are the only places that do.
 */
import type * as tf from '@tensorflow/tfjs';
import {embedding as embeddingOp} from '../ops/embedding';
import {linear as linearOp} from '../ops/linear';

/** A float32 tensor [in, out], or [rows, width] of a table. */
export interface DenseWeight {
  readonly form: 'dense';
  readonly value: tf.Tensor;
}

/** Rows of few bits with a scale for each group of them. */
export interface PackedWeight {
  readonly form: 'packed';
  readonly bits: 4 | 8 | 16;
  readonly shape: readonly [number, number];
}

/** A base with a low-rank correction beside it: x·base + x·down·up · scale. */
export interface LoraWeight {
  readonly form: 'lora';
  readonly base: DenseWeight | PackedWeight;
}

/** A weight that products and look-ups read. */
export type Weight = DenseWeight | PackedWeight | LoraWeight;

/** A tensor as a weight. */
export function dense(value: tf.Tensor): DenseWeight {
  return {form: 'dense', value};
}

/** The arguments of {@link linear}. */
export interface WeightedArgs {
  /** [..., in] */
  x: tf.Tensor;
  /** [in, out], or a table [out, in] with `isTable`. */
  weight: Weight;
  /** [out] */
  bias?: tf.Tensor;
  /** Whether the weight is a table whose rows are multiplied by, as a tied head does. */
  isTable?: boolean;
}

/** `x · weight + bias`, [..., out]. */
export function linear({x, weight, bias, isTable = false}: WeightedArgs): tf.Tensor {
  return linearOp({x, kernel: denseOnly(weight), bias, transposeKernel: isTable});
}

/** The rows of a table [rows, width] at int32 ids of any shape → [..., width]. */
export function embedding({ids, weight}: {ids: tf.Tensor; weight: Weight}): tf.Tensor {
  return embeddingOp({ids, weight: denseOnly(weight) as tf.Tensor2D});
}

function denseOnly(weight: Weight): tf.Tensor {
  if (weight.form === 'dense') return weight.value;
  throw new Error(`a ${weight.form} weight cannot be read yet; only dense ones can`);
}
