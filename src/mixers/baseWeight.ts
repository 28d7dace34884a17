/**
 * What products and look-ups make of a weight without a correction, dense or packed. What knows packed ones comes from whoever makes
 * them, so that a program without them goes without its code.
 */
import type * as tf from '@tensorflow/tfjs';
import {embedding as embeddingOp} from '../ops/embedding';
import {linear as linearOp} from '../ops/linear';
import type {DenseWeight, PackedWeight, WeightedArgs} from './weight';

/** The arithmetic of packed weights. */
export interface PackedArithmetic {
  /** x [..., width] times the rows, plus a bias [rows]. */
  linear(args: {x: tf.Tensor; weight: PackedWeight; bias?: tf.Tensor}): tf.Tensor;
  /** The rows at int32 ids. */
  embedding(args: {ids: tf.Tensor; weight: PackedWeight}): tf.Tensor;
  /** All rows [rows, width]. */
  unpack(weight: PackedWeight): tf.Tensor;
}

type Base = DenseWeight | PackedWeight;

let arithmetic: PackedArithmetic | undefined;

/** Makes packed weights known. */
export function definePacked(given: PackedArithmetic): void {
  arithmetic = given;
}

/** See `linear` in weight.ts. */
export function baseLinear({x, weight, bias, isTable = false}: WeightedArgs & {weight: Base}): tf.Tensor {
  if (weight.form === 'packed') return packed().linear({x, weight, bias});
  return linearOp({x, kernel: weight.value, bias, transposeKernel: isTable});
}

/** See `embedding` in weight.ts. */
export function baseEmbedding({ids, weight}: {ids: tf.Tensor; weight: Base}): tf.Tensor {
  if (weight.form === 'packed') return packed().embedding({ids, weight});
  return embeddingOp({ids, weight: weight.value as tf.Tensor2D});
}

/** The tensor that a weight is, or stands for: a table, or a kernel [in, out]. */
export function baseValue(weight: Base, isTable: boolean): tf.Tensor {
  if (weight.form === 'dense') return weight.value;
  const rows = packed().unpack(weight);
  return isTable ? rows : rows.transpose();
}

function packed(): PackedArithmetic {
  if (arithmetic) return arithmetic;
  throw new Error('a packed weight cannot be read, because nothing here has packed one');
}
