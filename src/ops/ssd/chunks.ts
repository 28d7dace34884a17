/**
 * How the composed form cuts a sequence, and the decays inside a chunk. A sequence becomes K = B·⌈L/Q⌉ chunks of Q positions, the last
 * filled up with steps of size zero, which leave a state alone.
 */
import * as tf from '@tensorflow/tfjs';

/** The longest chunk. */
const CHUNK = 64;

export interface Layout {
  batch: number;
  length: number;
  heads: number;
  headDim: number;
  groups: number;
  dState: number;
  /** Q, the positions of a chunk. */
  chunk: number;
  /** Chunks of a sequence. */
  chunks: number;
}

export function layoutOf({u, B}: Record<'u' | 'B', tf.Tensor>): Layout {
  const [batch, length, heads, headDim] = u.shape as [number, number, number, number];
  const [, , groups, dState] = B.shape as [number, number, number, number];
  const chunks = Math.ceil(length / CHUNK);
  return {batch, length, heads, headDim, groups, dState, chunks, chunk: Math.ceil(length / chunks)};
}

/** [B,L,…] → [K,Q,…] */
function cut(x: tf.Tensor, {batch, length, chunk, chunks}: Layout): tf.Tensor {
  const rest = x.shape.slice(2);
  const surplus = chunk * chunks - length;
  const none: [number, number] = [0, 0];
  const whole = surplus === 0 ? x : x.pad([none, [0, surplus], ...rest.map(() => none)]);
  return whole.reshape([batch * chunks, chunk, ...rest]);
}

/** [K,Q,…] → [B,L,…] */
function join(x: tf.Tensor, {batch, length, chunk, chunks}: Layout): tf.Tensor {
  const rest = x.shape.slice(2);
  const whole = x.reshape([batch, chunks * chunk, ...rest]);
  return chunks * chunk === length ? whole : whole.slice([0], [batch, length]);
}

/**
 * A sequence of channels with a position a column, [B,L,H,P] → [K,H,P,Q]: a matrix per head, and as it lies there also one of
 * H·P/G rows per group.
 */
export function toColumns(u: tf.Tensor, layout: Layout): tf.Tensor {
  const {batch, length, heads, headDim, chunk, chunks} = layout;
  const flat = cut(u.reshape([batch, length, heads * headDim]), layout);
  return flat.transpose([0, 2, 1]).reshape([batch * chunks, heads, headDim, chunk]);
}

/** [K,H,P,Q] → [B,L,H,P] */
export function fromColumns(x: tf.Tensor, layout: Layout): tf.Tensor {
  const {batch, length, heads, headDim, chunk, chunks} = layout;
  const flat = x.reshape([batch * chunks, heads * headDim, chunk]).transpose([0, 2, 1]);
  return join(flat, layout).reshape([batch, length, heads, headDim]);
}

/** A value per position and head, [B,L,H] → [K,H,Q]. */
export function toHeads(x: tf.Tensor, layout: Layout): tf.Tensor {
  return cut(x, layout).transpose([0, 2, 1]);
}

/** [K,H,Q] → [B,L,H] */
export function fromHeads(x: tf.Tensor, layout: Layout): tf.Tensor {
  return join(x.transpose([0, 2, 1]), layout);
}

/** A projection with a matrix per group, [B,L,G,N] → [K,G,Q,N]. */
export function toGroups(x: tf.Tensor, layout: Layout): tf.Tensor {
  const {batch, groups, dState, chunk, chunks} = layout;
  const pieces = cut(x, layout);
  return groups === 1 ? pieces.reshape([batch * chunks, 1, chunk, dState]) : pieces.transpose([0, 2, 1, 3]);
}

/** [K,G,Q,N] → [B,L,G,N] */
export function fromGroups(x: tf.Tensor, layout: Layout): tf.Tensor {
  const {batch, groups, dState, chunk, chunks} = layout;
  const pieces = groups === 1 ? x.reshape([batch * chunks, chunk, 1, dState]) : x.transpose([0, 2, 1, 3]);
  return join(pieces, layout);
}

/** The lower triangle of [Q,Q], 1 where row ≥ column, or row > column if strict. */
export function lowerTriangle(size: number, strict = false): tf.Tensor {
  const places = tf.range(0, size, 1);
  const columns = places.expandDims(0);
  const rows = places.expandDims(1);
  return (strict ? rows.greater(columns) : rows.greaterEqual(columns)).toFloat();
}

/** The decays of a chunk, of its logarithms a = δA. All are products over consecutive positions, so none can overflow for A < 0. */
export type Decays = {
  /** [K,H,Q,Q] from after position j (column) to i (row), 0 where j > i, but for the factors `row` and `column`. */
  within: tf.Tensor;
  /** What `within` lacks, near 1: [K,H,1,Q] by which position i, and position j, is multiplied. */
  row: tf.Tensor;
  column: tf.Tensor;
  /** From the chunk's start to after each position, [K,H,1,Q]. */
  fromStart: tf.Tensor;
  /** From after each position to the chunk's end, [K,H,1,Q]. */
  toEnd: tf.Tensor;
  /** Of the whole chunk, [K,H,1,1]. */
  whole: tf.Tensor;
};

/** Parts of a in steps of 2⁻¹⁰ add up without rounding over a chunk as long as each is at most 128. */
const GRID = 2 ** 10;
const LARGEST = 128;

/**
 * exp(88.7) is finite in float32. TensorFlow.js's WebGL programs compute two rows at a time, also the one behind an odd last one, where a
 * difference of sums may be any number; its product with the zero that stands there in the other matrix must stay zero.
 */
const MOST = 88.7;

/**
 * The decay between two positions is exp of a difference of running sums, and a difference of large sums would lose the digits of
 * small steps that follow large ones. So a is split into a multiple of 2⁻¹⁰, whose sums are exact, and a rest, whose sums are small.
 * exp(-128) is zero in float32, so nothing is lost by stopping there.
 */
export function decaysOf(a: tf.Tensor): Decays {
  const size = a.shape[2]!;
  const bounded = a.clipByValue(-LARGEST, LARGEST);
  const coarse = bounded.mul(GRID).floor().div(GRID);
  const sums = coarse.cumsum(2).expandDims(2);
  const rest = bounded.sub(coarse).cumsum(2).expandDims(2);
  const last = (x: tf.Tensor) => x.slice([0, 0, 0, size - 1], [-1, -1, 1, 1]);
  const outside = lowerTriangle(size).sub(1).mul(1e6); // -1e6 above the diagonal, where the difference may be positive
  const fromStart = sums.add(rest).exp();
  return {
    within: sums.transpose([0, 1, 3, 2]).sub(sums).add(outside).minimum(MOST).exp(),
    row: rest.exp(),
    column: rest.neg().exp(),
    fromStart,
    toEnd: last(sums).sub(sums).add(last(rest).sub(rest)).exp(),
    whole: last(fromStart),
  };
}
