/**
 * Many tensors as one message, by the native library: packed in one call into memory that travels as it is, and given out again as tensors that
 * share it. Through JavaScript each of them would be copied five times, and the arrays would have it collect garbage. See
 * custom-ops/src/tf/bundle.h.
 */
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend} from '../backends/tensorflow';
import {runNativeOp} from '../backends/tensorflow';

/** The number of a bundle of float32 tensors, each multiplied by `weight`. */
export function packBundle(tensors: readonly tf.Tensor[], weight?: tf.Tensor): number {
  const factor = weight ?? tf.scalar(1);
  const [handle] = run('TfjsMambaPackBundle', [...tensors, factor], tensors.length, 1);
  if (!weight) factor.dispose();
  const [bundle] = handle.dataSync();
  handle.dispose();
  return bundle;
}

/** The tensors of a bundle that has come back, which is none any more. */
export function unpackBundle(bundle: number, count: number): tf.Tensor[] {
  const number = tf.scalar(bundle);
  const tensors = run('TfjsMambaUnpackBundle', [number], count, count);
  number.dispose();
  return tensors;
}

/** tfjs-node's own function gives tensors, whatever its type says. */
function run(op: string, inputs: tf.Tensor[], count: number, outputs: number): tf.Tensor[] {
  const backend = tf.backend() as tf.KernelBackend & NodeBackend;
  return runNativeOp(backend, op, inputs, {ints: {P: count}}, outputs) as tf.Tensor[];
}
