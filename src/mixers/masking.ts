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
function alignment(mask: tf.Tensor): Alignment {
  return tf.tidy(() => {
    const [batch, length] = mask.shape as [number, number];
    const isReal = mask.cast('bool');
    const real = isReal.toInt();
    const padding = tf.sub(1, real).toInt();
    const padded = padding.sum(1, true).toInt();
    const place = tf.where(isReal, padded.add(real.cumsum(1)).sub(1), padding.cumsum(1).sub(1));
    const firstOfRow = tf.range(0, batch * length, length, 'int32').expandDims(1);
    const inverse = place.add(firstOfRow).toInt().flatten();
    const order = tf.scatterND<tf.Rank.R1>(inverse.expandDims(1), tf.range(0, batch * length, 1, 'int32'), [
      batch * length,
    ]);
    const aligned = tf.range(0, length, 1, 'int32').expandDims(0).greaterEqual(padded).toFloat();
    return {mask: aligned.expandDims(-1), order, inverse};
  });
}

/** The rows of x [B,L,C] in the given order; `inverse` is for the gradient. */
function permute<T extends tf.Tensor>(x: T, order: tf.Tensor1D, inverse: tf.Tensor1D): T {
  const rows = (t: tf.Tensor, which: tf.Tensor1D) => tf.gather(t.reshape([which.size, -1]), which).reshape(t.shape);
  const run = tf.customGrad((t: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    (save as tf.GradSaveFunc)([inverse]);
    return {
      value: rows(t as tf.Tensor, order),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => rows(dy, saved[0] as tf.Tensor1D),
    };
  });
  return run(x) as T;
}

/** The last position of each row of x [B,L,C] → [B,C]: the last real one, where the real ones are at the right. */
export function lastPosition(x: tf.Tensor): tf.Tensor {
  const [batch, length, channels] = x.shape as [number, number, number];
  return x.slice([0, length - 1, 0], [batch, 1, channels]).squeeze([1]);
}

/** What a mixer is told of the padding of a sequence whose real positions are at the right end of each row. */
export interface Padding {
  /** 1 at real positions, 0 at padding, [B,L,1]. */
  mask: tf.Tensor;
  /** How to put a carried past right in front of the first real position; absent where none is carried. */
  behindPast?: Alignment & {steps: number};
}

/**
 * The padding of moved rows.
 *
 * @param mask {@link Alignment.mask}.
 * @param steps Positions of the carried past, at most; 0 if none is carried.
 */
function paddingOf(mask: tf.Tensor, steps: number): Padding {
  if (steps === 0) return {mask};
  const real = tf.concat([tf.ones([mask.shape[0], steps]), mask.squeeze([2])], 1);
  return {mask, behindPast: {...alignment(real), steps}};
}

/** A sequence whose rows have been put in order, and back. */
export interface Aligned {
  padding: Padding;
  /** [B,L,C] → its real positions at the right. */
  move<T extends tf.Tensor>(x: T): T;
  moveBack<T extends tf.Tensor>(y: T): T;
}

/**
 * Puts the real positions of each row at its right end.
 *
 * @param mask [B,L], zero or false at padding.
 * @param steps See {@link paddingOf}.
 */
export function align(mask: tf.Tensor, steps: number): Aligned {
  const {mask: moved, order, inverse} = alignment(mask);
  return {
    padding: paddingOf(moved, steps),
    move: (x) => permute(x, order, inverse),
    moveBack: (y) => permute(y, inverse, order),
  };
}

/** x [B,L,C] with zeros at padding, whatever stood there: chosen, not multiplied, as it may be NaN. */
export function zeroedAt<T extends tf.Tensor>(padding: Padding | undefined, x: T): T {
  return padding ? tf.where(padding.mask.cast('bool'), x, tf.zerosLike(x)) : x;
}

/** Added to the step size at padding: its softplus is 0, so that the state is held there. */
const NEVER = -1e4;

/** Step sizes before softplus [B,L,C], such that padding takes no step. */
export function heldAt<T extends tf.Tensor>(padding: Padding | undefined, delta: T): T {
  return padding ? delta.mul(padding.mask).add(tf.sub(1, padding.mask).mul(NEVER)) : delta;
}

type Convolve = (x: tf.Tensor3D, initialState?: tf.Tensor3D) => {y: tf.Tensor3D; finalState: tf.Tensor3D};

/** A causal convolution of x [B,L,C] from a past [B,K-1,C]: its outputs are zero at padding, which it does not see. */
export function convolvePadded(
  padding: Padding | undefined,
  x: tf.Tensor3D,
  past: tf.Tensor3D | undefined,
  convolve: Convolve,
): ReturnType<Convolve> {
  if (!padding) return convolve(x, past);
  const {mask, behindPast} = padding;
  const real = x.mul<tf.Tensor3D>(mask); // with a bias in front of it, padding is no longer zero
  if (!past || past.shape[1] === 0) {
    const {y, finalState} = convolve(real, past);
    return {y: y.mul<tf.Tensor3D>(mask), finalState};
  }
  const {steps, order, inverse} = behindPast!;
  const [batch, length, channels] = x.shape;
  const missing = tf.zeros([batch, steps - past.shape[1], channels]);
  const {y, finalState} = convolve(
    permute(tf.concat<tf.Tensor3D>([missing as tf.Tensor3D, past, real], 1), order, inverse),
  );
  return {y: y.slice([0, steps, 0], [batch, length, channels]).mul<tf.Tensor3D>(mask), finalState};
}
