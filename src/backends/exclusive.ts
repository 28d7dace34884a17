/**
 * Tensors whose numbers are where a native op may write them anew: made by an op of TensorFlow for this package alone. Memory that came from
 * JavaScript may be an array that somebody else has.
 */
import * as tf from '@tensorflow/tfjs';
import {isTensorflowOnCpu} from './traits';

const made = new WeakSet<object>();

/** What holds the numbers of a tensor, and how many tensors share them. */
interface Counting {
  refCount(dataId: object): number;
  incRef(dataId: object): void;
}

/** Zeros; on a backend that can write in place, zeros that may be written to. */
export function writableZeros(shape: number[]): tf.Tensor {
  if (!isTensorflowOnCpu()) return tf.zeros(shape);
  const zeros = tf.fill(shape, 0);
  made.add(zeros.dataId);
  return zeros;
}

/** Says that a tensor's numbers are in memory that an op of this package has made. */
export function markWritable({dataId}: tf.TensorInfo): void {
  made.add(dataId);
}

/** The same numbers once more, as the result of a kernel. */
export function sameNumbers({dataId, shape, dtype}: tf.TensorInfo): tf.TensorInfo {
  (tf.backend() as unknown as Counting).incRef(dataId);
  return {dataId, shape, dtype};
}

/** Whether a tensor's numbers are in such memory, and no other tensor has the same. */
export function isWritable({dataId}: tf.TensorInfo): boolean {
  return made.has(dataId) && (tf.backend() as unknown as Counting).refCount(dataId) === 1;
}
