/**
 * The causal convolution, row by row of channels in memory order. The weight [D,K] is transposed once, so that each of its columns is
 * a row of channels too. Packed documents are taken one after the other, each as if it were alone.
 */
import {VECTOR, addWide4, load4, narrow4, scatter4, store4} from './vector';
import {documentEnd} from './documents';
import {sigmoid, silu, siluSlope} from './functions';

/** The row of the extended sequence [initialState, x] at time t - K + 1 + k; 0 where it lies before the start and is zero. */
// @ts-ignore: decorator
@inline
function rowAt(x: usize, initialState: usize, time: i32, past: i32, row: usize): usize {
  if (time >= 0) return x + <usize>time * row;
  return initialState ? initialState + <usize>(past + time) * row : 0;
}

/** [D,K] → [K,D]. */
function transpose(weight: usize, columns: usize, channels: i32, width: i32): void {
  for (let k: usize = 0; k < <usize>width; k++) {
    for (let d: usize = 0; d < <usize>channels; d++, columns += 4) {
      store<f32>(columns, load<f32>(weight + ((d * <usize>width + k) << 2)));
    }
  }
}

/** The sum of position t before the activation, at channel offset `at`. */
// @ts-ignore: decorator
@inline
function sumAt(
  x: usize, columns: usize, bias: usize, initialState: usize, t: i32, width: i32, row: usize, at: usize, count: i32,
): v128 {
  let sum = bias ? load4(bias + at, count) : f32x4.splat(0);
  for (let k = 0; k < width; k++) {
    const from = rowAt(x, initialState, t - width + 1 + k, width - 1, row);
    if (from) {
      sum = f32x4.add(sum, f32x4.mul(load4(columns + <usize>k * row + at, count), load4(from + at, count)));
    }
  }
  return sum;
}

/** `scratch`: K·D floats. */
export function causalConv1d(
  x: usize, weight: usize, bias: usize, initialState: usize, ids: usize, y: usize, finalState: usize, scratch: usize,
  batch: i32, length: i32, channels: i32, width: i32, useSilu: bool,
): void {
  const row = <usize>channels << 2;
  const past = width - 1;
  transpose(weight, scratch, channels, width);
  for (let b = 0; b < batch; b++) {
    for (let begin = 0, end = 0; begin < length; begin = end) {
      end = documentEnd(ids, begin, length);
      const size = end - begin;
      const before = begin === 0 ? initialState : 0;
      for (let t = 0; t < size; t++) {
        for (let d = 0; d < channels; d += 4) {
          const count = min(4, channels - d);
          const at = <usize>d << 2;
          const sum = sumAt(x, scratch, bias, before, t, width, row, at, count);
          store4(y + <usize>t * row + at, useSilu ? silu(sum) : sum, count);
        }
      }
      for (let k = 0; k < past && end === length; k++) {
        const from = rowAt(x, before, size - past + k, past, row);
        const to = finalState + <usize>k * row;
        if (from) {
          memory.copy(to, from, row);
        } else {
          memory.fill(to, 0, row);
        }
      }
      x += <usize>size * row;
      y += <usize>size * row;
    }
    if (ids) ids += <usize>length << 2;
    finalState += <usize>past * row;
    if (initialState) initialState += <usize>past * row;
  }
}

/** Rows over which dWeight and dBias are summed in float32 before they are added in float64. */
const ROWS = 64;

/**
 * At time t the gradient of the sum at t is known, and with it everything that reaches back to the input of t - K + 1: it is written
 * then. `scratch`: (3·K + 2)·D floats, rounded up to 8 bytes, and 4 more; then (K + 1)·(D + 4) doubles.
 */
export function causalConv1dGrad(
  x: usize, weight: usize, bias: usize, initialState: usize, ids: usize, dy: usize, dFinalState: usize,
  dx: usize, dWeight: usize, dBias: usize, dInitial: usize, scratch: usize, wide: usize,
  batch: i32, length: i32, channels: i32, width: i32, useSilu: bool,
): void {
  const row = <usize>channels << 2;
  const wideRow = <usize>(channels + 4) << 3;
  const past = width - 1;
  const columns = scratch;
  const ring = columns + <usize>width * row; // the gradients of the last K sums
  const sums = ring + <usize>width * row; // of the weight's columns, then of the bias
  transpose(weight, columns, channels, width);
  memory.fill(sums, 0, <usize>(width + 1) * row);
  memory.fill(wide, 0, <usize>(width + 1) * wideRow);
  let rows = 0;
  for (let b = 0; b < batch; b++) {
    for (let begin = 0, end = 0; begin < length; begin = end) {
      end = documentEnd(ids, begin, length);
      const size = end - begin;
      const before = begin === 0 ? initialState : 0;
      const dBefore = begin === 0 ? dInitial : 0;
      const dBehind = end === length ? dFinalState : 0;
      memory.fill(ring, 0, <usize>width * row);
      for (let t = 0; t < size + past; t++) {
        const current = ring + <usize>(t % width) * row;
        if (t < size) {
          sumGradients(x, columns, bias, before, dy, current, sums, t, channels, width, useSilu);
          if (++rows === ROWS) {
            widen(sums, wide, channels, width);
            rows = 0;
          }
        } else {
          memory.fill(current, 0, row);
        }
        // Everything that the input of this time took part in is known now.
        const time = t - past;
        const to = time >= 0 ? dx + <usize>time * row : dBefore ? dBefore + <usize>t * row : 0;
        if (to) {
          const behind = dBehind && time >= size - past ? dBehind + <usize>(time - size + past) * row : 0;
          inputGradient(columns, ring, t, behind, to, channels, width);
        }
      }
      x += <usize>size * row;
      dy += <usize>size * row;
      dx += <usize>size * row;
    }
    if (ids) ids += <usize>length << 2;
    dFinalState += <usize>past * row;
    if (initialState) initialState += <usize>past * row;
    if (dInitial) dInitial += <usize>past * row;
  }
  widen(sums, wide, channels, width);
  for (let d = 0; d < channels; d += 4) {
    const count = min(4, channels - d);
    for (let k = 0; k < width; k++) {
      const to = dWeight + (<usize>(d * width + k) << 2);
      scatter4(to, <usize>width << 2, narrow4(wide + <usize>k * wideRow + (<usize>d << 3)), count);
    }
    if (dBias) {
      store4(dBias + (<usize>d << 2), narrow4(wide + <usize>width * wideRow + (<usize>d << 3)), count);
    }
  }
}

/** The gradient of the sum at t into `current`, and its share of the weight's and the bias's gradients. */
function sumGradients(
  x: usize, columns: usize, bias: usize, initialState: usize, dy: usize, current: usize, sums: usize,
  t: i32, channels: i32, width: i32, useSilu: bool,
): void {
  const row = <usize>channels << 2;
  const toBias = sums + <usize>width * row;
  for (let d = 0; d < channels; d += 4) {
    const count = min(4, channels - d);
    const at = <usize>d << 2;
    let g = load4(dy + <usize>t * row + at, count);
    if (useSilu) {
      const sum = sumAt(x, columns, bias, initialState, t, width, row, at, count);
      g = f32x4.mul(g, siluSlope(sum, sigmoid(sum)));
    }
    store4(current + at, g, count);
    store4(toBias + at, f32x4.add(load4(toBias + at, count), g), count);
    for (let k = 0; k < width; k++) {
      const from = rowAt(x, initialState, t - width + 1 + k, width - 1, row);
      if (from) {
        const to = sums + <usize>k * row + at;
        store4(to, f32x4.add(load4(to, count), f32x4.mul(g, load4(from + at, count))), count);
      }
    }
  }
}

/** What reaches the input of time t - K + 1: column k of the weight from the sum at t - k. */
function inputGradient(columns: usize, ring: usize, t: i32, dFinal: usize, to: usize, channels: i32, width: i32): void {
  const row = <usize>channels << 2;
  for (let d = 0; d < channels; d += 4) {
    const count = min(4, channels - d);
    const at = <usize>d << 2;
    let g = dFinal ? load4(dFinal + at, count) : f32x4.splat(0);
    for (let k = 0; k < width && k <= t; k++) {
      const from = ring + <usize>((t - k) % width) * row + at;
      g = f32x4.add(g, f32x4.mul(load4(columns + <usize>k * row + at, count), load4(from, count)));
    }
    store4(to + at, g, count);
  }
}

/** Moves the float32 sums over to the float64 ones. */
function widen(sums: usize, wide: usize, channels: i32, width: i32): void {
  const row = <usize>channels << 2;
  const wideRow = <usize>(channels + 4) << 3;
  for (let k: usize = 0; k <= <usize>width; k++) {
    for (let d = 0; d < channels; d += 4) {
      const at = sums + k * row + (<usize>d << 2);
      addWide4(wide + k * wideRow + (<usize>d << 3), load4(at, channels - d));
      store4(at, f32x4.splat(0), channels - d);
    }
  }
}
