/** Rows of a table made of TensorFlow.js ops, which are the right form for every backend whose sums by segment are deterministic. */
import * as tf from '@tensorflow/tfjs';
import '../unsortedSegmentSum/typed';
import {valuesAreAtHand} from '../../backends/traits';
import {offerComposed} from '../kernel';
import type {EmbeddingAttrs, EmbeddingGradInput, EmbeddingInput} from './kernels';
import {runEmbedding, runEmbeddingGrad} from './kernels';

export function embeddingComposed(
  {weight, ids}: Record<EmbeddingInput, tf.Tensor>,
  {rows}: EmbeddingAttrs,
): tf.Tensor[] {
  if (valuesAreAtHand()) {
    return [tf.gather(weight, ids)];
  }
  const inRange = ids.greaterEqual(0).logicalAnd(ids.less(rows)).expandDims(-1).toFloat();
  return [tf.gather(weight, ids.clipByValue(0, rows - 1).toInt() as tf.Tensor1D).mul(inRange)];
}

export function embeddingGradComposed(
  {ids, dy}: Record<EmbeddingGradInput, tf.Tensor>,
  {rows}: EmbeddingAttrs,
): tf.Tensor[] {
  const channels = dy.shape[dy.rank - 1];
  const flat = ids.flatten();
  const values = dy.reshape([-1, channels]);
  if (valuesAreAtHand()) {
    return [tf.unsortedSegmentSum(values, flat, rows)];
  }
  const inRange = flat.greaterEqual(0).logicalAnd(flat.less(rows)).expandDims(-1).toFloat();
  return [tf.unsortedSegmentSum(values.mul(inRange), flat.clipByValue(0, rows - 1).toInt() as tf.Tensor1D, rows)];
}

offerComposed(runEmbedding, embeddingComposed, true);
offerComposed(runEmbeddingGrad, embeddingGradComposed, true);
