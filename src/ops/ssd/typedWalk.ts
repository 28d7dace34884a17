/**
 * The inner loops of the typed-array kernels of Mamba-2's scan: four channels of a head walk over a chunk together, forwards and back.
 * Their states lie in the first-level cache, and they share what they read of B and C. Sums are float64.
 */
import {CHUNK} from './shapes';

/** Channels that walk together; a head's are filled up to a multiple with zeros. */
export const LANES = 4;

/** A chunk of one head: step sizes, decays, inputs x = δu and outputs before the gate, of all its lanes. */
export function scratch(headDim: number) {
  const lanes = LANES * Math.ceil(headDim / LANES);
  const row = () => new Float64Array(CHUNK);
  const rows = () => new Float64Array(CHUNK * lanes);
  return {lanes, step: row(), decay: row(), x: rows(), y: rows()};
}

export type Scratch = ReturnType<typeof scratch>;

/** Where a head finds its rows of B and C: `at` is that of the chunk's first position, `stride` leads to the next. */
export interface Rows {
  B: Float32Array;
  C: Float32Array;
  at: number;
  stride: number;
  dState: number;
}

/**
 * Walks four lanes, from `lane` on, over a chunk. The states of position t are read at `at + t·stride` of `states` and written one
 * stride on: a stride of zero works in place, one of four states keeps the history.
 */
export function walk(
  {lanes, decay, x, y}: Scratch,
  {B, C, at: firstRow, stride: rowStride, dState}: Rows,
  lane: number,
  count: number,
  states: Float64Array,
  at: number,
  stride: number,
): void {
  for (let t = 0, i = lane, row = firstRow, k = at; t < count; t++, i += lanes, row += rowStride, k += stride) {
    const a = decay[t];
    const x0 = x[i];
    const x1 = x[i + 1];
    const x2 = x[i + 2];
    const x3 = x[i + 3];
    let y0 = 0;
    let y1 = 0;
    let y2 = 0;
    let y3 = 0;
    for (
      let n = 0, k0 = k, k1 = k + dState, k2 = k1 + dState, k3 = k2 + dState;
      n < dState;
      n++, k0++, k1++, k2++, k3++
    ) {
      const bn = B[row + n];
      const cn = C[row + n];
      const h0 = a * states[k0] + x0 * bn;
      const h1 = a * states[k1] + x1 * bn;
      const h2 = a * states[k2] + x2 * bn;
      const h3 = a * states[k3] + x3 * bn;
      states[k0 + stride] = h0;
      states[k1 + stride] = h1;
      states[k2 + stride] = h2;
      states[k3 + stride] = h3;
      y0 += cn * h0;
      y1 += cn * h1;
      y2 += cn * h2;
      y3 += cn * h3;
    }
    y[i] = y0;
    y[i + 1] = y1;
    y[i + 2] = y2;
    y[i + 3] = y3;
  }
}

/** What the way back fills in for a chunk of one head: dLogDecay per position, dx and gy per lane; and sums over heads and lanes. */
export interface BackwardScratch {
  dLogDecay: Float64Array;
  gy: Float64Array;
  dx: Float64Array;
  /** Rows of a chunk, of all groups. */
  dB: Float64Array;
  dC: Float64Array;
}

/** Walks four lanes back over a chunk, whose states lie in `history`, from the gradient of the state at its end in `carried`. */
export function walkBack(
  {lanes, decay, x}: Scratch,
  {dLogDecay, gy, dx, dB, dC}: BackwardScratch,
  {B, C, at: firstRow, stride: rowStride, dState}: Rows,
  [lane, count, firstSum]: [number, number, number],
  history: Float64Array,
  carried: Float64Array,
  at: number,
): void {
  const stride = LANES * dState;
  for (let t = count - 1; t >= 0; t--) {
    const a = decay[t];
    const i = t * lanes + lane;
    const row = firstRow + t * rowStride;
    const sum = firstSum + t * rowStride;
    const [x0, x1, x2, x3] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
    const [g0, g1, g2, g3] = [gy[i], gy[i + 1], gy[i + 2], gy[i + 3]];
    let dx0 = 0;
    let dx1 = 0;
    let dx2 = 0;
    let dx3 = 0;
    let through = 0;
    for (let n = 0; n < dState; n++) {
      const bn = B[row + n];
      const cn = C[row + n];
      const k0 = t * stride + n;
      const k1 = k0 + dState;
      const k2 = k1 + dState;
      const k3 = k2 + dState;
      const c0 = at + n;
      const c1 = c0 + dState;
      const c2 = c1 + dState;
      const c3 = c2 + dState;
      const s0 = cn * g0 + carried[c0];
      const s1 = cn * g1 + carried[c1];
      const s2 = cn * g2 + carried[c2];
      const s3 = cn * g3 + carried[c3];
      dC[sum + n] +=
        g0 * history[k0 + stride] + g1 * history[k1 + stride] + g2 * history[k2 + stride] + g3 * history[k3 + stride];
      dB[sum + n] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3;
      dx0 += s0 * bn;
      dx1 += s1 * bn;
      dx2 += s2 * bn;
      dx3 += s3 * bn;
      through += s0 * history[k0] + s1 * history[k1] + s2 * history[k2] + s3 * history[k3];
      carried[c0] = s0 * a;
      carried[c1] = s1 * a;
      carried[c2] = s2 * a;
      carried[c3] = s3 * a;
    }
    dx[i] = dx0;
    dx[i + 1] = dx1;
    dx[i + 2] = dx2;
    dx[i + 3] = dx3;
    dLogDecay[t] += through * a;
  }
}
