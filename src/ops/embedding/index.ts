/**
 * Rows of a table by integer id. A gather by itself, whose gradient TensorFlow.js has on every backend once the wasm backend is
 * given the kernel it lacks; here for the checks and for what ids out of range do.
 */
import * as tf from '@tensorflow/tfjs';
import {checkIndices, checkKeys, checkNotEmpty, checkRank, toTensor, valuesAreAtHand} from '../check';
import '../unsortedSegmentSum/typed';

/** The arguments of {@link embedding}. V = rows, D = channels. */
export interface EmbeddingArgs {
  /** Row numbers, int32, of any shape. */
  ids: tf.Tensor;
  /** The table [V,D]. */
  weight: tf.Tensor2D;
}

/**
 * `weight[ids]`, of shape [...ids.shape, D]. An id outside [0, V) throws on cpu, wasm and tensorflow; on the GPU backends, which
 * cannot look, its row is zero.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function embedding(args: EmbeddingArgs): tf.Tensor {
  return tf.tidy('embedding', () => {
    checkKeys(OP, args, ['ids', 'weight']);
    const ids = toTensor(OP, 'ids', args.ids, 'int32');
    const weight = toTensor(OP, 'weight', args.weight);
    checkRank(OP, 'weight', weight, 2, '[rows, channels]');
    checkNotEmpty(OP, 'weight', weight);
    checkNotEmpty(OP, 'ids', ids);
    const rows = weight.shape[0];
    checkIndices(OP, 'ids', ids, rows);
    if (valuesAreAtHand()) {
      return tf.gather(weight, ids);
    }
    const inRange = ids.greaterEqual(0).logicalAnd(ids.less(rows)).expandDims(-1).toFloat();
    return tf.gather(weight, ids.clipByValue(0, rows - 1).toInt() as tf.Tensor1D).mul(inRange);
  });
}

const OP = 'embedding';
