/** Mamba-2's scan, forwards: chunk by chunk, head by head. */
import {load4, store4} from './vector';
import {silu} from './functions';
import {ALL, LOWER, multiply, padded} from './multiply';
import {
  B, C, CHUNK, LINE, chunkBytes, enterGroup, enterHead, enterSkip, fromStart, layOutChunk, loadState, mixing, scale, scaleRows,
  skip, storeRows, storeState, toEnd, x,
} from './ssdChunk';

/** Bytes of scratch that `ssd` takes. */
export function ssdBytes(heads: i32, headDim: i32, dState: i32): usize {
  const row = <usize>padded(headDim) << 2;
  return chunkBytes(headDim, dState) + <usize>(heads * dState + CHUNK) * row;
}

/** Pointers of absent inputs and outputs are 0. D has `skipWidth` values a head, 1 or headDim. */
export function ssd(
  u: usize, delta: usize, A: usize, rowsB: usize, rowsC: usize, D: usize, z: usize, deltaBias: usize, initialState: usize,
  y: usize, finalState: usize, states: usize, scratch: usize,
  batch: i32, length: i32, heads: i32, headDim: i32, groups: i32, dState: i32, skipWidth: i32,
  useSoftplus: bool, deltaMin: f32, deltaMax: f32,
): void {
  const width = padded(headDim);
  const row = <usize>width << 2;
  const rowN = <usize>padded(dState) << 2;
  const size = <usize>(headDim * dState) << 2;
  const space = <usize>dState * row; // of a state in scratch
  const strideB = <usize>(groups * dState) << 2;
  const perGroup = heads / groups;
  const state = layOutChunk(scratch, headDim, dState);
  const out = state + <usize>heads * space;
  for (let b = 0; b < batch; b++) {
    memory.fill(state, 0, <usize>heads * space);
    for (let h = 0; h < heads && initialState; h++) {
      loadState(initialState + <usize>(b * heads + h) * size, headDim, dState, state + <usize>h * space);
    }
    for (let start = 0; start < length; start += CHUNK) {
      const steps = min(CHUNK, length - start);
      const first = <usize>(b * length + start);
      for (let h = 0; h < heads; h++) {
        if (h % perGroup === 0) {
          const at = first * strideB + (<usize>(h / perGroup * dState) << 2);
          enterGroup(rowsB + at, rowsC + at, strideB, steps, dState);
        }
        const own = state + <usize>h * space;
        if (states) {
          storeRows(own, dState, headDim, states, <usize>headDim << 2);
          states += size;
        }
        const at = (first * <usize>heads + <usize>h) << 2;
        const bias: f32 = deltaBias ? load<f32>(deltaBias + (<usize>h << 2)) : 0;
        const a = load<f32>(A + (<usize>h << 2));
        const whole = enterHead(
          u + at * <usize>headDim, delta + at, a, bias, heads, headDim, steps, useSoftplus, deltaMin, deltaMax,
        );
        if (D) enterSkip(D, h, headDim, skipWidth);
        multiply(false, ALL, steps, dState, width, C, rowN, 4, own, row, out, row);
        scaleRows(out, steps, width, fromStart);
        multiply(true, LOWER, steps, steps, width, mixing, LINE, 4, x, row, out, row);
        finish(u, z, y, at * <usize>headDim, out, heads, headDim, steps);
        scale(own, dState * width, whole);
        scaleRows(x, steps, width, toEnd);
        multiply(true, ALL, dState, steps, width, B, 4, rowN, x, row, own, row);
      }
    }
    for (let h = 0; h < heads; h++) {
      storeState(state + <usize>h * space, headDim, dState, finalState + <usize>(b * heads + h) * size);
    }
  }
}

/** Skip connection and gate of a chunk; `at` is its first row's offset. */
function finish(u: usize, z: usize, y: usize, at: usize, out: usize, heads: i32, headDim: i32, steps: i32): void {
  const row = <usize>padded(headDim) << 2;
  for (let t = 0; t < steps; t++, at += <usize>(heads * headDim) << 2, out += row) {
    for (let p = 0; p < headDim; p += 4) {
      const c = <usize>p << 2;
      const count = headDim - p;
      const sum = f32x4.add(v128.load(out + c), f32x4.mul(v128.load(skip + c), load4(u + at + c, count)));
      store4(y + at + c, z ? f32x4.mul(sum, silu(load4(z + at + c, count))) : sum, count);
    }
  }
}
