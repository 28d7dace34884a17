/**
 * The selective scan, forwards: document by document (a row is one, unless it is packed), in a document chunk by chunk, in a chunk block
 * by block of channels. So packed documents are computed as each alone.
 *
 * The fast form of a decay is right as long as states are finite (`scaled`). One that is not stays so to the end, so a document's last
 * state tells whether it has to be done again with `scaledAnyhow`: nothing is paid for numbers that nearly nobody has.
 */
import {VECTOR, load4, store4} from './vector';
import {exp2m1Part, hold2, powerOf, scaled, scaledAnyhow, shift, silu} from './functions';
import {documentEnd} from './documents';
import {LOG2E, allFiniteState, blockSize, fromVectors, perChannel, stepSizes, timeStride, toVectors} from './scanCommon';

/**
 * Pointers of absent inputs and outputs are 0. `groupsB`, `groupsC`: for a constant projection the number of channels, with
 * `constantB`, `constantC` set. `scratch`: 2·D·N vectors. `chunk`: steps between the states that are kept; that of a chunk which starts
 * at t goes to slot ⌊t/chunk⌋, and the zeros that a row's later documents start from are not kept.
 */
export function selectiveScan(
  u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, initialState: usize,
  ids: usize, y: usize, finalState: usize, states: usize, scratch: usize,
  batch: i32, length: i32, channels: i32, dState: i32,
  groupsB: i32, constantB: bool, groupsC: i32, constantC: bool, useSoftplus: bool, chunk: i32,
): void {
  const perGroupB = channels / groupsB;
  const perGroupC = channels / groupsC;
  const size = channels * dState;
  const table = <usize>size << 2;
  const vectors = <usize>dState * VECTOR;
  const chunks = (length + chunk - 1) / chunk;
  const exponents = scratch; // A·log2 e
  const state = scratch + <usize>size * VECTOR;
  for (let d = 0, block: usize = 0; d < channels; block += vectors) {
    const count = blockSize(d, perGroupB, perGroupC);
    toVectors(A, d, count, dState, exponents + block, LOG2E);
    d += count;
  }
  for (let b = 0; b < batch; b++) {
    for (let begin = 0, end = 0; begin < length; begin = end) {
      end = documentEnd(ids, begin, length);
      const initial = initialState && begin === 0 ? initialState + <usize>b * table : 0;
      for (let anyhow = 0; anyhow < 2; anyhow++) {
        scanDocument(
          u, delta, B, C, D, z, deltaBias, initial, y, states ? states + <usize>(b * chunks) * table : 0, exponents, state,
          b * length, begin, end, channels, dState, groupsB, constantB, groupsC, constantC, useSoftplus, chunk, anyhow !== 0,
        );
        if (allFiniteState(state, channels, dState, perGroupB, perGroupC)) break;
      }
    }
    if (ids) ids += <usize>length << 2;
    for (let d = 0, block: usize = 0; d < channels; block += vectors) {
      const count = blockSize(d, perGroupB, perGroupC);
      fromVectors(state + block, d, count, dState, finalState + <usize>b * table);
      d += count;
    }
  }
}

/** Positions begin … end-1 of the row whose first is `row0` of the batch; `states` are the row's. */
function scanDocument(
  u: usize, delta: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, initial: usize,
  y: usize, states: usize, exponents: usize, state: usize,
  row0: i32, begin: i32, end: i32, channels: i32, dState: i32,
  groupsB: i32, constantB: bool, groupsC: i32, constantC: bool, useSoftplus: bool, chunk: i32, anyhow: bool,
): void {
  const perGroupB = channels / groupsB;
  const perGroupC = channels / groupsC;
  const timeB = timeStride(constantB, groupsB, dState);
  const timeC = timeStride(constantC, groupsC, dState);
  const row = <usize>channels << 2;
  const table = <usize>(channels * dState) << 2;
  const vectors = <usize>dState * VECTOR;
  for (let d = 0, block: usize = 0; d < channels; block += vectors) {
    const count = blockSize(d, perGroupB, perGroupC);
    if (initial) {
      toVectors(initial, d, count, dState, state + block, 1);
    } else {
      memory.fill(state + block, 0, vectors);
    }
    d += count;
  }
  for (let start = begin; start < end; start += chunk) {
    const steps = min(chunk, end - start);
    const first = <usize>(row0 + start);
    const keep = states && (start === 0 || start > begin) ? states + <usize>(start / chunk) * table : 0;
    for (let d = 0, block: usize = 0; d < channels; block += vectors) {
      const count = blockSize(d, perGroupB, perGroupC);
      if (keep) {
        fromVectors(state + block, d, count, dState, keep);
      }
      const at = first * row + (<usize>d << 2);
      const skip = perChannel(D, d, count);
      const bias = perChannel(deltaBias, d, count);
      const groupB = <usize>((d / perGroupB) * dState) << 2;
      const groupC = <usize>((d / perGroupC) * dState) << 2;
      const rowsB = B + first * timeB + groupB;
      const rowsC = C + first * timeC + groupC;
      const gate = z ? z + at : 0;
      if (anyhow) {
        scanBlockAnyhow(
          u + at, delta + at, rowsB, rowsC, gate, y + at, exponents + block, state + block, D !== 0, skip, bias,
          row, timeB, timeC, steps, dState, count, useSoftplus,
        );
      } else {
        scanBlock(
          u + at, delta + at, rowsB, rowsC, gate, y + at, exponents + block, state + block, D !== 0, skip, bias,
          row, timeB, timeC, steps, dState, count, useSoftplus, false,
        );
      }
      d += count;
    }
  }
}

/** One chunk of one block. */
// @ts-ignore: decorator
@inline
function scanBlock(
  u: usize, delta: usize, B: usize, C: usize, z: usize, y: usize, exponents: usize, state: usize,
  hasD: bool, skip: v128, bias: v128, row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool,
  anyhow: bool,
): void {
  const end = <usize>dState << 2;
  for (let t = 0; t < steps; t++) {
    const dt = stepSizes(delta, bias, count, useSoftplus);
    const ut = load4(u, count);
    const input = f32x4.mul(dt, ut);
    let sum = hasD ? f32x4.mul(skip, ut) : f32x4.splat(0);
    for (let n: usize = 0; n < end; n += 4) {
      const at = n << 2;
      const x = f32x4.mul(dt, v128.load(exponents + at));
      const held = hold2(x);
      const shifted = shift(held);
      const h = v128.load(state + at);
      const decayed = anyhow ? scaledAnyhow(h, x) : scaled(h, exp2m1Part(held, shifted), powerOf(shifted));
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

/** With `scaledAnyhow`. In one function with the other form, both would be slower by a tenth: that it is exported keeps them apart. */
export function scanBlockAnyhow(
  u: usize, delta: usize, B: usize, C: usize, z: usize, y: usize, exponents: usize, state: usize,
  hasD: bool, skip: v128, bias: v128, row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool,
): void {
  scanBlock(
    u, delta, B, C, z, y, exponents, state, hasD, skip, bias, row, timeB, timeC, steps, dState, count, useSoftplus, true,
  );
}
