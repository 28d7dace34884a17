/** Token ids as users hand them over: tensors or lists. */
import * as tf from '@tensorflow/tfjs';
import {checkNotEmpty, checkRank, toTensor} from '../ops/check';

/** Token ids, [B,L] or [B]. */
export type TokenIds = tf.Tensor | number[] | number[][];

/** Checks ids, or a mask; the result is int32. */
export function toIds(op: string, name: string, value: TokenIds, rank: 1 | 2): tf.Tensor {
  const isBool = value instanceof tf.Tensor && value.dtype === 'bool';
  const tensor = toTensor(op, name, isBool ? value.toInt() : value, 'int32');
  checkRank(op, name, tensor, rank, rank === 2 ? '[batch, length]' : '[batch]');
  checkNotEmpty(op, name, tensor);
  const fraction = Array.isArray(value) ? value.flat().find((id) => !Number.isInteger(id)) : undefined;
  if (fraction !== undefined) {
    throw new Error(`${op}: ${name} must hold integers, but has ${fraction}`);
  }
  return tensor;
}
