/**
 * A weight that knows its form. What mixers multiply by may be a plain tensor, a packed one of few bits, or one with a low-rank
 * correction; they do not look. {@link linear} and {@link embedding} are the only places that do.
 */
import * as tf from '@tensorflow/tfjs';
import {embedding as embeddingOp} from '../ops/embedding';
import {linearOutputs, linear as linearOp} from '../ops/linear';
import {arithmeticOf} from './forms';

/** A float32 tensor [in, out], or [rows, width] of a table. */
export interface DenseWeight {
  readonly form: 'dense';
  readonly value: tf.Tensor;
}

/**
 * Rows of 8-bit integers with a scale for each 32 of them (GGUF's Q8_0): a table [rows, width], or a kernel [in, out] turned, so that its
 * outputs are the rows.
 */
export interface PackedWeight {
  readonly form: 'packed';
  readonly bits: 8;
  /** [rows, width] */
  readonly shape: readonly [number, number];
  /** The integers, several to a word [rows, …], int32: see `unpackRows`. */
  readonly words: tf.Tensor;
  /** [rows, width / 32] */
  readonly scales: tf.Tensor;
}

/** Rows of bfloat16, two to a word: a table [rows, width], or a kernel [in, out] turned, so that its outputs are the rows. */
export interface HalfWeight {
  readonly form: 'half';
  /** [rows, width] */
  readonly shape: readonly [number, number];
  /** [rows, width / 2], int32 */
  readonly words: tf.Tensor;
}

/**
 * A base with a low-rank correction beside it (LoRA, arXiv 2106.09685): base + down·up·scale, of the shape that the base has when it is
 * dense. With a magnitude it is DoRA's (arXiv 2402.09353): that sum with its columns brought to these lengths.
 */
export interface LoraWeight {
  readonly form: 'lora';
  readonly base: BaseWeight;
  /** [rows, rank] */
  readonly down: tf.Tensor2D;
  /** [rank, columns] */
  readonly up: tf.Tensor2D;
  readonly scale: number;
  /** The length of each column [columns]. */
  readonly magnitude?: tf.Tensor1D;
  /** The share of the inputs that the correction does not see; 0 unless it is being trained. */
  readonly dropout: number;
  /** Chooses which, the same ones where a product is computed again for its gradient. */
  readonly seed?: number;
}

/** A weight without a correction. */
export type BaseWeight = DenseWeight | PackedWeight | HalfWeight;

/** A weight that products and look-ups read. */
export type Weight = BaseWeight | LoraWeight;

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
export function linear(args: WeightedArgs): tf.Tensor {
  const {x, weight, bias, isTable = false} = args;
  if (weight.form === 'dense') return linearOp({x, kernel: weight.value, bias, transposeKernel: isTable});
  return arithmeticOf(weight).linear({...args, weight});
}

/** `x · weight + bias` in parts [..., size]; and behind them, if it `passes`, x, which what else reads it is to take. */
export function linearInParts(args: WeightedArgs, sizes: number[], passes = false): tf.Tensor[] {
  const {x, weight, bias} = args;
  const outputs =
    weight.form === 'dense' ? linearOutputs({x, kernel: weight.value, bias}, sizes, passes) : [linear(args)];
  return outputs.length > 1 ? outputs : [...tf.split(outputs[0], sizes, -1), ...(passes ? [x] : [])];
}

/** The rows of a table [rows, width] at int32 ids of any shape → [..., width]. */
export function embedding({ids, weight}: {ids: tf.Tensor; weight: Weight}): tf.Tensor {
  if (weight.form === 'dense') return embeddingOp({ids, weight: weight.value as tf.Tensor2D});
  return arithmeticOf(weight).embedding({ids, weight});
}

/** The one tensor that a weight stands for: a table, or a kernel [in, out]. */
export function denseValue(weight: Weight, isTable: boolean): tf.Tensor {
  return weight.form === 'dense' ? weight.value : arithmeticOf(weight).value(weight, isTable);
}
