/**
 * Masked positions, wherever they are.
 *
 * A padded batch must give on its real positions what each sequence gives alone. So the real positions of every row are moved to its
 * right end, in order; then the sequence and its carried state run into one another without a gap, and the last position is the last
 * real one. Moving is a permutation, whose gradient is the inverse permutation: gathers both, on every backend.
 */
import * as tf from '@tensorflow/tfjs';

/** The order that moves each row's real positions to the right, and the way back. */
export interface Alignment {
  /** 1 at real positions after the move, [B,L,1]. */
  mask: tf.Tensor;
  /** Row numbers in [B·L,...]: where each position of the moved sequence comes from. */
  order: tf.Tensor1D;
  /** Where each position goes. */
  inverse: tf.Tensor1D;
}

/** @param mask [B,L], zero or false at padding. */
export function alignment(mask: tf.Tensor): Alignment {
  return tf.tidy(() => {
    const [batch, length] = mask.shape as [number, number];
    const real = mask.cast('bool').toInt();
    const padding = tf.sub(1, real).toInt();
    const padded = padding.sum(1, true).toInt();
    const place = tf.where(real.cast('bool'), padded.add(real.cumsum(1)).sub(1), padding.cumsum(1).sub(1));
    const firstOfRow = tf.range(0, batch, 1, 'int32').mul(tf.scalar(length, 'int32')).expandDims(1);
    const inverse = place.add(firstOfRow).toInt().flatten();
    const order = tf.scatterND<tf.Rank.R1>(inverse.expandDims(1), tf.range(0, batch * length, 1, 'int32'), [
      batch * length,
    ]);
    const aligned = tf.range(0, length, 1, 'int32').expandDims(0).greaterEqual(padded).toFloat();
    return {mask: aligned.expandDims(-1), order, inverse};
  });
}

/** The rows of x [B,L,C] in the given order; `inverse` is for the gradient. */
export function permute(x: tf.Tensor, order: tf.Tensor1D, inverse: tf.Tensor1D): tf.Tensor {
  const rows = (t: tf.Tensor, which: tf.Tensor1D) => tf.gather(t.reshape([which.size, -1]), which).reshape(t.shape);
  const run = tf.customGrad((t: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    (save as tf.GradSaveFunc)([inverse]);
    return {
      value: rows(t as tf.Tensor, order),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => rows(dy, saved[0] as tf.Tensor1D),
    };
  });
  return run(x);
}

/** The last real position of each row of x [B,L,C] → [B,C]; without a mask the last position. */
export function lastReal(x: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
  const [batch, length, channels] = x.shape as [number, number, number];
  if (!mask) {
    return x.slice([0, length - 1, 0], [batch, 1, channels]).squeeze([1]);
  }
  const positions = tf.range(0, length, 1, 'int32').expandDims(0);
  const last = positions.mul(mask.cast('bool').toInt()).max(1, true);
  return x.mul(positions.equal(last).toFloat().expandDims(-1)).sum(1);
}
