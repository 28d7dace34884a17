/**
 * What both directions of the selective scan share.
 *
 * A vector holds four neighbouring channels, so that step sizes, gates and softplus are vectors too, B and C are the same number
 * for all four, and nothing is summed across a vector inside a loop. A block is up to four channels of one group. Per-channel
 * tables (state, A) are kept transposed in scratch, a vector per block and state: at ((block · N) + n) · 16.
 */
import {VECTOR, gather4, lanes4, load4, scatter4, sum4} from './vector';
import {softplus} from './functions';

export const LOG2E: f32 = 1.44269504;
export const LN2: f32 = 0.693147182;

/** The channels of a block that starts at `d`: at most four, and none of another group of B or C. */
// @ts-ignore: decorator
@inline
export function blockSize(d: i32, perGroupB: i32, perGroupC: i32): i32 {
  const left = min(perGroupB - (d % perGroupB), perGroupC - (d % perGroupC));
  return min(4, left);
}

/** Copies a [D,N] table, of the channels from `d` on, into vectors. */
export function toVectors(table: usize, d: i32, count: i32, dState: i32, vectors: usize, scale: f32): void {
  const stride = <usize>dState << 2;
  const factor = f32x4.splat(scale);
  let from = table + <usize>d * stride;
  for (let n = 0; n < dState; n++, from += 4, vectors += VECTOR) {
    v128.store(vectors, f32x4.mul(gather4(from, stride, count), factor));
  }
}

/** The reverse of toVectors. */
export function fromVectors(vectors: usize, d: i32, count: i32, dState: i32, table: usize): void {
  const stride = <usize>dState << 2;
  let to = table + <usize>d * stride;
  for (let n = 0; n < dState; n++, to += 4, vectors += VECTOR) {
    scatter4(to, stride, v128.load(vectors), count);
  }
}

/** The step sizes of a block: delta plus bias, through softplus if asked for. */
// @ts-ignore: decorator
@inline
export function stepSizes(delta: usize, bias: v128, count: i32, useSoftplus: bool): v128 {
  const biased = f32x4.add(load4(delta, count), bias);
  return useSoftplus ? softplus(biased) : biased;
}

/** The values of a block in a table of one float per channel; zeros if the table is absent. */
// @ts-ignore: decorator
@inline
export function perChannel(table: usize, d: i32, count: i32): v128 {
  return table ? load4(table + (<usize>d << 2), count) : f32x4.splat(0);
}


/** Bytes from one position of a projection to the next; 0 if it is constant. */
// @ts-ignore: decorator
@inline
export function timeStride(constant: bool, groups: i32, dState: i32): usize {
  return constant ? 0 : <usize>(groups * dState) << 2;
}

/** Whether none of a table of vectors is infinite or not a number; lanes without a channel do not count. */
export function allFiniteState(vectors: usize, channels: i32, dState: i32, perGroupB: i32, perGroupC: i32): bool {
  for (let d = 0; d < channels; vectors += <usize>dState * VECTOR) {
    const count = blockSize(d, perGroupB, perGroupC);
    if (!allFiniteLanes(vectors, dState, count)) return false;
    d += count;
  }
  return true;
}

/** Whether none of the first `count` lanes of `size` vectors is infinite or not a number. */
export function allFiniteLanes(vectors: usize, size: i32, count: i32): bool {
  const lanes = lanes4(count);
  let zero = f32x4.splat(0);
  for (let n = 0; n < size; n++, vectors += VECTOR) {
    const v = v128.and(v128.load(vectors), lanes);
    zero = f32x4.add(zero, f32x4.sub(v, v));
  }
  return sum4(zero) === 0;
}
