/**
 * The selective scan, backwards: chunk by chunk from the end. A block's states over a chunk are computed again from the one that
 * the forward kept at its start, with their decays; then the chunk is walked back. Sums over time and batch go through float32 for
 * one chunk and are float64 from there on; dB and dC, sums over channels, are four sums that are added at the end of a group.
 *
 * As forwards (scan.ts), where a state of a document, or the gradient of one, has not been finite, the document is done with
 * `scaledAnyhow`: in a second walk over all, so that sums over documents stay in order.
 */
import {VECTOR, lanes4, load4, narrow, store4, sum4, wideSum4} from './vector';
import {exp2m1Part, hold2, powerOf, scaled, scaledAnyhow, shift, sigmoid, siluSlope} from './functions';
import {documentBegin} from './documents';
import {LN2, LOG2E, allFiniteLanes, allFiniteState, blockSize, fromVectors, perChannel, stepSizes, timeStride, toVectors} from './scanCommon';

// Where things lie in scratch, set once per call.
let exponents: usize; // A·log2 e; a vector per block and state
let carried: usize; // exp(δ_{t+1} A) s_{t+1}, likewise; at the end of the sequence the gradient of the final state
let history: usize; // the block's states before each step of the chunk, and after the last
let decays: usize; // exp(δ_t A) in two parts, see functions.ts; or its exponent in units of ln 2
let stepsAt: usize; // δ_t
let sumB: usize; // dB of the chunk, one group: a vector per step and state
let sumC: usize;
let sumA: usize; // dA of the chunk and block
let wideA: usize; // float64 [D,N]
let wideB: usize; // float64 [D,N], only for a constant B
let wideC: usize;
let wideD: usize; // float64 [D]
let wideBias: usize;
let isAnyhow: usize; // a byte per position; that of a document's first says whether it is done with `scaledAnyhow`

/**
 * Pointers of absent inputs are 0; gradients as the inputs. `scratch`: (2·D·N + (5·chunk + 2)·N + chunk) vectors and 3·D·N + 2·D
 * doubles, and B·L bytes.
 */
export function selectiveScanGrad(
  u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, ids: usize,
  states: usize, dy: usize, dFinalState: usize,
  du: usize, dDelta: usize, dA: usize, dB: usize, dC: usize, dD: usize, dz: usize, dBias: usize, dInitial: usize,
  scratch: usize, batch: i32, length: i32, channels: i32, dState: i32,
  groupsB: i32, constantB: bool, groupsC: i32, constantC: bool, useSoftplus: bool, chunk: i32,
): void {
  for (let anyhow = 0; anyhow < 2; anyhow++) {
    const finite = walk(
      u, delta, A, B, C, D, z, deltaBias, ids, states, dy, dFinalState, du, dDelta, dA, dB, dC, dD, dz, dBias, dInitial,
      scratch, batch, length, channels, dState, groupsB, constantB, groupsC, constantC, useSoftplus, chunk, anyhow !== 0,
    );
    if (finite) return;
  }
}

/** Whether all states and their gradients have been finite. The second walk does those documents otherwise that have not been. */
function walk(
  u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, ids: usize,
  states: usize, dy: usize, dFinalState: usize,
  du: usize, dDelta: usize, dA: usize, dB: usize, dC: usize, dD: usize, dz: usize, dBias: usize, dInitial: usize,
  scratch: usize, batch: i32, length: i32, channels: i32, dState: i32,
  groupsB: i32, constantB: bool, groupsC: i32, constantC: bool, useSoftplus: bool, chunk: i32,
  isSecond: bool,
): bool {
  let finite = true; // so far, of the document
  let allOfThem = true;
  let anyhow = false;
  const perGroupB = channels / groupsB;
  const perGroupC = channels / groupsC;
  const timeB = timeStride(constantB, groupsB, dState);
  const timeC = timeStride(constantC, groupsC, dState);
  const row = <usize>channels << 2;
  const size = channels * dState;
  const table = <usize>size << 2;
  const vectors = <usize>dState * VECTOR;
  const chunks = (length + chunk - 1) / chunk;
  layOut(scratch, size, channels, vectors, chunk);
  for (let d = 0, block: usize = 0; d < channels; block += vectors) {
    const count = blockSize(d, perGroupB, perGroupC);
    toVectors(A, d, count, dState, exponents + block, LOG2E);
    d += count;
  }
  for (let b = 0; b < batch; b++) {
    for (let d = 0, block: usize = 0; d < channels; block += vectors) {
      const count = blockSize(d, perGroupB, perGroupC);
      toVectors(dFinalState + <usize>b * table, d, count, dState, carried + block, 1);
      d += count;
    }
    for (let end = length, begin = length; end > 0; ) {
      if (end === begin) {
        begin = documentBegin(ids, end);
        finite = true;
        anyhow = isSecond && load<u8>(isAnyhow + <usize>(b * length + begin)) !== 0;
      }
      const start = begin + ((end - 1 - begin) / chunk) * chunk;
      const steps = end - start;
      const first = <usize>(b * length + start);
      // Documents but the first of a row start from zero.
      const kept = start === 0 || start > begin ? states + <usize>(b * chunks + start / chunk) * table : 0;
      for (let d = 0, block: usize = 0; d < channels; block += vectors) {
        const count = blockSize(d, perGroupB, perGroupC);
        const at = first * row + (<usize>d << 2);
        const skip = perChannel(D, d, count);
        const bias = perChannel(deltaBias, d, count);
        const groupB = <usize>((d / perGroupB) * dState) << 2;
        const groupC = <usize>((d / perGroupC) * dState) << 2;
        const rowsB = B + first * timeB + groupB;
        const rowsC = C + first * timeC + groupC;
        if (d % perGroupB === 0) memory.fill(sumB, 0, <usize>steps * vectors);
        if (d % perGroupC === 0) memory.fill(sumC, 0, <usize>steps * vectors);
        memory.fill(sumA, 0, vectors);
        if (kept) {
          toVectors(kept, d, count, dState, history, 1);
        } else {
          memory.fill(history, 0, vectors);
        }
        const gate = z ? z + at : 0;
        const dGate = z ? dz + at : 0;
        if (anyhow) {
          backBlockAnyhow(
            u + at, delta + at, rowsB, rowsC, gate, dy + at, du + at, dDelta + at, dGate, exponents + block, carried + block,
            d, D !== 0, skip, bias, row, timeB, timeC, steps, dState, count, useSoftplus,
          );
        } else {
          backBlock(
            u + at, delta + at, rowsB, rowsC, gate, dy + at, du + at, dDelta + at, dGate, exponents + block, carried + block,
            d, D !== 0, skip, bias, row, timeB, timeC, steps, dState, count, useSoftplus, false,
          );
        }
        finite = finite && allFiniteLanes(history + <usize>steps * vectors, dState, count);
        addTable(sumA, wideA, d, count, dState);
        d += count;
        if (d % perGroupB === 0) flush(sumB, steps, dState, dB + first * timeB + groupB, timeB, wideB + (groupB << 1));
        if (d % perGroupC === 0) flush(sumC, steps, dState, dC + first * timeC + groupC, timeC, wideC + (groupC << 1));
      }
      if (start === begin) {
        finite = finite && allFiniteState(carried, channels, dState, perGroupB, perGroupC);
        allOfThem = allOfThem && finite;
        store<u8>(isAnyhow + <usize>(b * length + begin), finite ? 0 : 1);
        // Nothing goes from a document to the one before.
        if (begin > 0) memory.fill(carried, 0, <usize>size * VECTOR);
      }
      end = start;
    }
    if (ids) ids += <usize>length << 2;
    if (dInitial) {
      for (let d = 0, block: usize = 0; d < channels; block += vectors) {
        const count = blockSize(d, perGroupB, perGroupC);
        fromVectors(carried + block, d, count, dState, dInitial + <usize>b * table);
        d += count;
      }
    }
  }
  narrow(wideA, dA, size);
  if (constantB) narrow(wideB, dB, size);
  if (constantC) narrow(wideC, dC, size);
  if (dD) narrow(wideD, dD, channels);
  if (dBias) narrow(wideBias, dBias, channels);
  return allOfThem;
}

function layOut(scratch: usize, size: i32, channels: i32, vectors: usize, chunk: i32): void {
  const tables = <usize>size * VECTOR;
  const overChunk = <usize>chunk * vectors;
  const wide = <usize>size << 3;
  exponents = scratch;
  carried = exponents + tables;
  history = carried + tables;
  decays = history + overChunk + vectors;
  sumB = decays + 2 * overChunk;
  sumC = sumB + overChunk;
  sumA = sumC + overChunk;
  stepsAt = sumA + vectors;
  wideA = stepsAt + <usize>chunk * VECTOR;
  wideB = wideA + wide;
  wideC = wideB + wide;
  wideD = wideC + wide;
  wideBias = wideD + (<usize>channels << 3);
  isAnyhow = wideBias + (<usize>channels << 3);
  memory.fill(wideA, 0, isAnyhow - wideA);
}

/** One chunk of one block. */
// @ts-ignore: decorator
@inline
function backBlock(
  u: usize, delta: usize, B: usize, C: usize, z: usize, dy: usize, du: usize, dDelta: usize, dz: usize,
  exponent: usize, carry: usize, d: i32, hasD: bool, skip: v128, bias: v128,
  row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool, anyhow: bool,
): void {
  replay(u, delta, B, exponent, bias, row, timeB, steps, dState, count, useSoftplus, anyhow);
  walkBack(
    u, delta, B, C, z, dy, du, dDelta, dz, exponent, carry, d, hasD, skip, bias,
    row, timeB, timeC, steps, dState, count, useSoftplus, anyhow,
  );
}

/** With `scaledAnyhow`, exported for the reason that scanBlockAnyhow is. */
export function backBlockAnyhow(
  u: usize, delta: usize, B: usize, C: usize, z: usize, dy: usize, du: usize, dDelta: usize, dz: usize,
  exponent: usize, carry: usize, d: i32, hasD: bool, skip: v128, bias: v128,
  row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool,
): void {
  backBlock(
    u, delta, B, C, z, dy, du, dDelta, dz, exponent, carry, d, hasD, skip, bias,
    row, timeB, timeC, steps, dState, count, useSoftplus, true,
  );
}

/** Runs the chunk forwards and keeps its states and decays. */
// @ts-ignore: decorator
@inline
function replay(
  u: usize, delta: usize, B: usize, exponent: usize, bias: v128, row: usize, timeB: usize,
  steps: i32, dState: i32, count: i32, useSoftplus: bool, anyhow: bool,
): void {
  const end = <usize>dState << 2;
  const vectors = <usize>dState * VECTOR;
  const lanes = lanes4(count);
  let h = history;
  let decay = decays;
  for (let t = 0; t < steps; t++) {
    const dt = stepSizes(delta, bias, count, useSoftplus);
    v128.store(stepsAt + <usize>t * VECTOR, dt);
    const input = f32x4.mul(dt, load4(u, count));
    for (let n: usize = 0; n < end; n += 4, h += VECTOR, decay += 2 * VECTOR) {
      const x = f32x4.mul(dt, v128.load(exponent + (n << 2)));
      const b = v128.load_splat<f32>(B + n);
      if (anyhow) {
        v128.store(decay, x);
        const next = f32x4.add(scaledAnyhow(v128.load(h), x), f32x4.mul(input, b));
        v128.store(h + vectors, v128.and(next, lanes)); // in lanes without a channel 0·∞ may be
        continue;
      }
      const held = hold2(x);
      const shifted = shift(held);
      const part = exp2m1Part(held, shifted);
      const power = powerOf(shifted);
      v128.store(decay, part);
      v128.store(decay + VECTOR, power);
      v128.store(h + vectors, f32x4.add(scaled(v128.load(h), part, power), f32x4.mul(input, b)));
    }
    u += row;
    delta += row;
    B += timeB;
  }
}

/** Walks the chunk from its last step to its first. */
// @ts-ignore: decorator
@inline
function walkBack(
  u: usize, delta: usize, B: usize, C: usize, z: usize, dy: usize, du: usize, dDelta: usize, dz: usize,
  exponent: usize, carry: usize, d: i32, hasD: bool, skip: v128, bias: v128,
  row: usize, timeB: usize, timeC: usize, steps: i32, dState: i32, count: i32, useSoftplus: bool, anyhow: bool,
): void {
  const end = <usize>dState << 2;
  const vectors = <usize>dState * VECTOR;
  const lanes = lanes4(count);
  let skipSum = f32x4.splat(0);
  let biasSum = f32x4.splat(0);
  for (let t = steps - 1; t >= 0; t--) {
    const at = <usize>t * row;
    const rowB = B + <usize>t * timeB;
    const rowC = C + <usize>t * timeC;
    const h = history + <usize>t * vectors;
    const decay = decays + <usize>t * 2 * vectors;
    const toB = sumB + <usize>t * vectors;
    const toC = sumC + <usize>t * vectors;
    const ut = load4(u + at, count);
    const dt = v128.load(stepsAt + <usize>t * VECTOR);
    const input = f32x4.mul(dt, ut);
    const dOut = load4(dy + at, count);
    let gate = f32x4.splat(0);
    let open = f32x4.splat(1);
    let gy = dOut;
    if (z) {
      gate = load4(z + at, count);
      open = sigmoid(gate);
      gy = f32x4.mul(dOut, f32x4.mul(gate, open));
    }
    let y = hasD ? f32x4.mul(skip, ut) : f32x4.splat(0);
    let dStep = f32x4.splat(0);
    let dInput = f32x4.splat(0);
    for (let n: usize = 0; n < end; n += 4) {
      const k = n << 2;
      let c = v128.load_splat<f32>(rowC + n);
      if (anyhow) c = v128.and(c, lanes);
      const after = v128.load(h + vectors + k);
      y = f32x4.add(y, f32x4.mul(c, after));
      const s = f32x4.add(f32x4.mul(c, gy), v128.load(carry + k));
      const decay0 = v128.load(decay + 2 * k);
      const decayed = anyhow ? scaledAnyhow(s, decay0) : scaled(s, decay0, v128.load(decay + 2 * k, VECTOR));
      const through = f32x4.mul(decayed, v128.load(h + k));
      v128.store(carry + k, decayed);
      v128.store(toC + k, f32x4.add(v128.load(toC + k), f32x4.mul(gy, after)));
      v128.store(toB + k, f32x4.add(v128.load(toB + k), f32x4.mul(s, input)));
      v128.store(sumA + k, f32x4.add(v128.load(sumA + k), f32x4.mul(through, dt)));
      dStep = f32x4.add(dStep, f32x4.mul(through, v128.load(exponent + k)));
      dInput = f32x4.add(dInput, f32x4.mul(s, v128.load_splat<f32>(rowB + n)));
    }
    if (z) {
      store4(dz + at, f32x4.mul(f32x4.mul(dOut, y), siluSlope(gate, open)), count);
    }
    const dDirect = f32x4.mul(dt, dInput);
    store4(du + at, hasD ? f32x4.add(dDirect, f32x4.mul(skip, gy)) : dDirect, count);
    skipSum = f32x4.add(skipSum, f32x4.mul(gy, ut));
    let step = f32x4.add(f32x4.mul(dStep, f32x4.splat(LN2)), f32x4.mul(dInput, ut));
    if (useSoftplus) {
      step = f32x4.mul(step, sigmoid(f32x4.add(load4(delta + at, count), bias)));
    }
    store4(dDelta + at, step, count);
    biasSum = f32x4.add(biasSum, step);
  }
  // Lane by lane: those without a channel belong to nobody.
  for (let i = 0; i < count; i++) {
    addLane(wideD + (<usize>(d + i) << 3), skipSum, i);
    addLane(wideBias + (<usize>(d + i) << 3), biasSum, i);
  }
}

function addLane(at: usize, v: v128, lane: i32): void {
  const value =
    lane === 0 ? f32x4.extract_lane(v, 0)
    : lane === 1 ? f32x4.extract_lane(v, 1)
    : lane === 2 ? f32x4.extract_lane(v, 2)
    : f32x4.extract_lane(v, 3);
  store<f64>(at, load<f64>(at) + <f64>value);
}

/** Adds a block's table of vectors to the float64 [D,N]. */
function addTable(vectors: usize, wide: usize, d: i32, count: i32, dState: i32): void {
  const stride = <usize>dState << 3;
  let to = wide + <usize>d * stride;
  for (let n = 0; n < dState; n++, to += 8, vectors += VECTOR) {
    const v = v128.load(vectors);
    for (let i = 0; i < count; i++) {
      addLane(to + <usize>i * stride, v, i);
    }
  }
}

/** Ends a group's dB or dC of a chunk: a row per step, or, where the projection is constant, added up over the steps. */
function flush(vectors: usize, steps: i32, dState: i32, to: usize, time: usize, wide: usize): void {
  for (let t = 0; t < steps; t++, to += time) {
    for (let n: usize = 0; n < <usize>dState; n++, vectors += VECTOR) {
      const v = v128.load(vectors);
      if (time === 0) {
        store<f64>(wide + (n << 3), load<f64>(wide + (n << 3)) + wideSum4(v));
      } else {
        store<f32>(to + (n << 2), sum4(v));
      }
    }
  }
}
