/** Rows of a table by integer id: the first layer of a language model. */
import * as tf from '@tensorflow/tfjs';
import {checkIndices, checkKeys, checkNotEmpty, checkRank, toTensor} from '../check';
import './composed';
import './gradient';
import {runEmbedding} from './kernels';

/** The arguments of {@link embedding}. V = rows, D = channels. */
export interface EmbeddingArgs {
  /** Row numbers, int32, of any shape. */
  ids: tf.Tensor;
  /** The table [V,D]. */
  weight: tf.Tensor2D;
}

/**
 * `weight[ids]`, of shape [...ids.shape, D]. An id outside [0, V) throws on cpu, wasm and a tensorflow without a GPU; on a GPU, where
 * ids are not looked at, its row is zero.
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
    return runEmbedding({weight, ids}, {rows})[0];
  });
}

const OP = 'embedding';
