/**
 * What both directions of Mamba-2's scan share. A chunk of Q positions of a head is a product with the Q×Q matrix of (C_i·B_j) times
 * the decay from j to i, and what came before enters by the state at the chunk's start (section 6 of arXiv 2405.21060); all decays
 * are products of single ones. Forward that is as many operations as the recurrence takes, but states and sums stay in locals;
 * backward it is half of them. States lie as [N][P'], rows of P' floats, P padded.
 */
import {VECTOR, load4, store4, sum4} from './vector';
import {exp, softplus} from './functions';
import {ALL, multiply, padded, transpose} from './multiply';

/** Steps of a chunk, and between kept states. */
export const CHUNK: i32 = 64;
/** Bytes of a row of CHUNK floats. */
export const LINE: usize = 256;

// Where things lie in scratch, set once per call.
export let raw: usize; // [Q]: delta with its bias, before softplus and limits
export let step: usize; // [Q]: and after
export let fromStart: usize; // [Q]: decay from the chunk's start to after a position
export let toEnd: usize; // [Q]: decay from after a position to the chunk's end
export let within: usize; // [Q][Q]: decay from after position j to i
export let mixing: usize; // [Q][Q]: within times the products
export let x: usize; // [Q][P']: δu
export let skip: usize; // [P']
export let B: usize; // [Q][N']: the rows of a group
export let C: usize;
export let products: usize; // [Q][Q]: C_i·B_j of a group
let decay: usize; // [Q]
let columns: usize; // [N'][Q]

/** Bytes of what is laid out here. */
export function chunkBytes(headDim: i32, dState: i32): usize {
  return 5 * LINE + 3 * <usize>CHUNK * LINE + <usize>(CHUNK + 1) * (<usize>padded(headDim) << 2) + 3 * LINE * <usize>padded(dState);
}

/** Lays out a chunk; gives where the rest of scratch begins. */
export function layOutChunk(scratch: usize, headDim: i32, dState: i32): usize {
  const square = <usize>CHUNK * LINE;
  const rowsN = LINE * <usize>padded(dState);
  const rowP = <usize>padded(headDim) << 2;
  raw = scratch;
  step = raw + LINE;
  fromStart = step + LINE;
  toEnd = fromStart + LINE;
  decay = toEnd + LINE;
  within = decay + LINE;
  mixing = within + square;
  products = mixing + square;
  x = products + square;
  skip = x + <usize>CHUNK * rowP;
  B = skip + rowP;
  C = B + rowsN;
  columns = C + rowsN;
  const end = columns + rowsN;
  memory.fill(scratch, 0, end - scratch);
  return end;
}

/** e^x, infinite where that overflows: `exp` holds x within ±88. */
// @ts-ignore: decorator
@inline
export function decayOf(x: v128): v128 {
  const root = exp(f32x4.mul(x, f32x4.splat(0.5)));
  return v128.bitselect(f32x4.mul(root, root), exp(x), f32x4.gt(x, f32x4.splat(88)));
}

/** Copies rows of `width` floats that lie `stride` bytes apart to padded ones; what they are padded with is zero. */
export function loadRows(from: usize, stride: usize, rows: i32, width: i32, to: usize): void {
  const row = <usize>padded(width) << 2;
  for (let r = 0; r < rows; r++, from += stride, to += row) {
    for (let c = 0; c < width; c += 4) {
      v128.store(to + (<usize>c << 2), load4(from + (<usize>c << 2), width - c));
    }
  }
}

/** The reverse of loadRows. */
export function storeRows(from: usize, rows: i32, width: i32, to: usize, stride: usize): void {
  const row = <usize>padded(width) << 2;
  for (let r = 0; r < rows; r++, from += row, to += stride) {
    for (let c = 0; c < width; c += 4) {
      store4(to + (<usize>c << 2), v128.load(from + (<usize>c << 2)), width - c);
    }
  }
}

/** A state [P,N] to [N][P']. */
export function loadState(from: usize, headDim: i32, dState: i32, to: usize): void {
  const row = <usize>padded(headDim) << 2;
  for (let p = 0; p < headDim; p++) {
    for (let n: usize = 0; n < <usize>dState; n++, from += 4) {
      store<f32>(to + n * row + (<usize>p << 2), load<f32>(from));
    }
  }
}

/** The reverse of loadState. */
export function storeState(from: usize, headDim: i32, dState: i32, to: usize): void {
  const row = <usize>padded(headDim) << 2;
  for (let p = 0; p < headDim; p++) {
    for (let n: usize = 0; n < <usize>dState; n++, to += 4) {
      store<f32>(to, load<f32>(from + n * row + (<usize>p << 2)));
    }
  }
}

/** Multiplies `count` floats, a multiple of four. */
export function scale(at: usize, count: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  for (const end = at + (<usize>count << 2); at < end; at += VECTOR) {
    v128.store(at, f32x4.mul(v128.load(at), f));
  }
}

/** Multiplies each row by a factor of its own. */
export function scaleRows(at: usize, rows: i32, width: i32, factors: usize): void {
  for (let r = 0; r < rows; r++, at += <usize>width << 2, factors += 4) {
    scale(at, width, load<f32>(factors));
  }
}

/** Σ a·b of `count` floats, a multiple of four. */
export function dot(a: usize, b: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  for (const end = a + (<usize>count << 2); a < end; a += VECTOR, b += VECTOR) {
    sum = f32x4.add(sum, f32x4.mul(v128.load(a), v128.load(b)));
  }
  return sum4(sum);
}

/** Reads a group's rows of B and C, which lie `stride` bytes apart, and multiplies them. */
export function enterGroup(rowsB: usize, rowsC: usize, stride: usize, steps: i32, dState: i32): void {
  const width = padded(dState);
  const row = <usize>width << 2;
  loadRows(rowsB, stride, steps, dState, B);
  loadRows(rowsC, stride, steps, dState, C);
  transpose(CHUNK, width, B, row, columns, LINE);
  multiply(false, ALL, steps, dState, padded(steps), C, row, 4, columns, LINE, products, LINE);
}

/** Makes a head's steps, decays and inputs ready. `u` and `delta` point at the chunk's first row; the decay of the chunk. */
export function enterHead(
  u: usize, delta: usize, a: f32, bias: f32, heads: i32, headDim: i32, steps: i32,
  useSoftplus: bool, deltaMin: f32, deltaMax: f32,
): f32 {
  const stride = <usize>heads << 2;
  for (let t: usize = 0; t < <usize>steps; t++) {
    store<f32>(raw + (t << 2), load<f32>(delta + t * stride) + bias);
  }
  for (let t: usize = 0; t < <usize>steps << 2; t += VECTOR) {
    let d = v128.load(raw + t);
    if (useSoftplus) d = softplus(d);
    d = f32x4.pmin(f32x4.pmax(d, f32x4.splat(deltaMin)), f32x4.splat(deltaMax));
    v128.store(step + t, d);
    v128.store(decay + t, decayOf(f32x4.mul(d, f32x4.splat(a))));
  }
  const last = <usize>(steps - 1) << 2;
  let product: f32 = 1;
  for (let t: usize = 0; t <= last; t += 4) {
    product *= load<f32>(decay + t);
    store<f32>(fromStart + t, product);
  }
  const whole = product;
  product = 1;
  for (let t = last; ; t -= 4) {
    store<f32>(toEnd + t, product);
    if (t === 0) break;
    product *= load<f32>(decay + t);
  }
  mix(steps);
  const width = <usize>padded(headDim) << 2;
  for (let t: usize = 0; t < <usize>steps; t++) {
    const factor = v128.load_splat<f32>(step + (t << 2));
    const from = u + t * stride * <usize>headDim;
    for (let c = 0; c < headDim; c += 4) {
      const at = <usize>c << 2;
      v128.store(x + t * width + at, f32x4.mul(load4(from + at, headDim - c), factor));
    }
  }
  return whole;
}

/** Fills in `within`, whose row i is the one before times the decay of i, and `mixing`; as far as the four columns of the diagonal. */
function mix(steps: i32): void {
  for (let i = 0; i < steps; i++) {
    const a = v128.load_splat<f32>(decay + (<usize>i << 2));
    const row = within + <usize>i * LINE;
    for (let j = 0; j <= i; j += 4) {
      const at = <usize>j << 2;
      v128.store(row + at, j === i ? f32x4.splat(0) : f32x4.mul(v128.load(row - LINE + at), a));
    }
    store<f32>(row + (<usize>i << 2), 1);
    for (let at: usize = 0; at <= <usize>i << 2; at += VECTOR) {
      store4Mixed(row + at, <usize>i * LINE + at);
    }
  }
}

/** Where the decay is zero so is what is mixed in, whatever the product. */
// @ts-ignore: decorator
@inline
function store4Mixed(decays: usize, at: usize): void {
  const w = v128.load(decays);
  const mixed = f32x4.mul(w, v128.load(products + at));
  v128.store(mixing + at, v128.andnot(mixed, f32x4.eq(w, f32x4.splat(0))));
}

/** The skip connection of head h, from a table of `skipWidth` values a head. */
export function enterSkip(D: usize, h: i32, headDim: i32, skipWidth: i32): void {
  for (let p = 0; p < headDim; p++) {
    const at = <usize>(h * skipWidth + (skipWidth === 1 ? 0 : p)) << 2;
    store<f32>(skip + (<usize>p << 2), load<f32>(D + at));
  }
}
