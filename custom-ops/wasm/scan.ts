/** The selective scan, forwards: chunk by chunk, in a chunk block by block of channels. */
import {VECTOR, load4, store4} from './vector';
import {exp2m1Part, hold2, powerOf, scaled, shift, silu} from './functions';
import {LOG2E, blockSize, fromVectors, perChannel, stepSizes, timeStride, toVectors} from './scanCommon';

/**
 * Pointers of absent inputs and outputs are 0. `groupsB`, `groupsC`: for a constant projection the number of channels, with
 * `constantB`, `constantC` set. `scratch`: 2·D·N vectors. `chunk`: steps between the states that are kept.
 */
export function selectiveScan(
  u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, initialState: usize,
  y: usize, finalState: usize, states: usize, scratch: usize,
  batch: i32, length: i32, channels: i32, dState: i32,
  groupsB: i32, constantB: bool, groupsC: i32, constantC: bool, useSoftplus: bool, chunk: i32,
): void {
  const perGroupB = channels / groupsB;
  const perGroupC = channels / groupsC;
  const timeB = timeStride(constantB, groupsB, dState);
  const timeC = timeStride(constantC, groupsC, dState);
  const row = <usize>channels << 2;
  const table = <usize>(channels * dState) << 2;
  const vectors = <usize>dState * VECTOR;
  const exponents = scratch; // A·log2 e
  const state = scratch + <usize>(channels * dState) * VECTOR;
  for (let d = 0, block: usize = 0; d < channels; block += vectors) {
    const count = blockSize(d, perGroupB, perGroupC);
    toVectors(A, d, count, dState, exponents + block, LOG2E);
    d += count;
  }
  for (let b = 0; b < batch; b++) {
    for (let d = 0, block: usize = 0; d < channels; block += vectors) {
      const count = blockSize(d, perGroupB, perGroupC);
      if (initialState) {
        toVectors(initialState + <usize>b * table, d, count, dState, state + block, 1);
      } else {
        memory.fill(state + block, 0, vectors);
      }
      d += count;
    }
    for (let start = 0; start < length; start += chunk) {
      const steps = min(chunk, length - start);
      const first = <usize>(b * length + start);
      for (let d = 0, block: usize = 0; d < channels; block += vectors) {
        const count = blockSize(d, perGroupB, perGroupC);
        if (states) {
          fromVectors(state + block, d, count, dState, states);
        }
        const at = first * row + (<usize>d << 2);
        const skip = perChannel(D, d, count);
        const bias = perChannel(deltaBias, d, count);
        const groupB = <usize>((d / perGroupB) * dState) << 2;
        const groupC = <usize>((d / perGroupC) * dState) << 2;
        scanBlock(
          u + at, delta + at, B + first * timeB + groupB, C + first * timeC + groupC, z ? z + at : 0, y + at,
          exponents + block, state + block, skip, bias, row, timeB, timeC, steps, dState, count, useSoftplus,
        );
        d += count;
      }
      if (states) states += table;
    }
    for (let d = 0, block: usize = 0; d < channels; block += vectors) {
      const count = blockSize(d, perGroupB, perGroupC);
      fromVectors(state + block, d, count, dState, finalState + <usize>b * table);
      d += count;
    }
  }
}

/** One chunk of one block. */
function scanBlock(
  u: usize, delta: usize, B: usize, C: usize, z: usize, y: usize, exponents: usize, state: usize,
  skip: v128, bias: v128, row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool,
): void {
  const end = <usize>dState << 2;
  for (let t = 0; t < steps; t++) {
    const dt = stepSizes(delta, bias, count, useSoftplus);
    const ut = load4(u, count);
    const input = f32x4.mul(dt, ut);
    let sum = f32x4.mul(skip, ut);
    for (let n: usize = 0; n < end; n += 4) {
      const at = n << 2;
      const x = hold2(f32x4.mul(dt, v128.load(exponents + at)));
      const shifted = shift(x);
      const decayed = scaled(v128.load(state + at), exp2m1Part(x, shifted), powerOf(shifted));
      const next = f32x4.add(decayed, f32x4.mul(input, v128.load_splat<f32>(B + n)));
      v128.store(state + at, next);
      sum = f32x4.add(sum, f32x4.mul(v128.load_splat<f32>(C + n), next));
    }
    store4(y, z ? f32x4.mul(sum, silu(load4(z, count))) : sum, count);
    u += row;
    delta += row;
    y += row;
    if (z) z += row;
    B += timeB;
    C += timeC;
  }
}
