/**
 * Products of small matrices, and their transposition. Strides are in bytes. The columns of a product come in pairs of vectors, so
 * rows are padded to a multiple of PAIR floats.
 */
import {VECTOR} from './vector';

export const PAIR: i32 = 8;

/**
 * Which k count for row r of the left matrix: all, those up to r of a lower triangle, or those from r on of an upper one. Four rows
 * go together, so what is beyond must be zero in the four columns that the diagonal is in; further off it is not read.
 */
export const ALL: i32 = 0;
export const LOWER: i32 = 1;
export const UPPER: i32 = 2;

/** The next multiple of PAIR. */
// @ts-ignore: decorator
@inline
export function padded(width: i32): i32 {
  return (width + PAIR - 1) & -PAIR;
}

/** out = a·b, or out += a·b: [rows,depth] by [depth,columns]. Element (r, k) of `a` is at r·rowA + k·stepA. */
export function multiply(
  add: bool, part: i32, rows: i32, depth: i32, columns: i32,
  a: usize, rowA: usize, stepA: usize, b: usize, strideB: usize, out: usize, strideOut: usize,
): void {
  for (let c = 0; c < columns; c += PAIR, b += 2 * VECTOR, out += 2 * VECTOR) {
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
      const first = part === UPPER ? r : 0;
      const count = (part === LOWER ? min(r + 4, depth) : depth) - first;
      tile4(
        add, count, a + <usize>r * rowA + <usize>first * stepA, rowA, stepA, b + <usize>first * strideB, strideB,
        out + <usize>r * strideOut, strideOut,
      );
    }
    for (; r < rows; r++) {
      const first = part === UPPER ? r : 0;
      const count = (part === LOWER ? min(r + 1, depth) : depth) - first;
      tile1(
        add, count, a + <usize>r * rowA + <usize>first * stepA, stepA, b + <usize>first * strideB, strideB,
        out + <usize>r * strideOut,
      );
    }
  }
}

/** Four rows of two vectors, in locals. */
function tile4(
  add: bool, count: i32, a: usize, rowA: usize, stepA: usize, b: usize, strideB: usize, out: usize, strideOut: usize,
): void {
  const zero = f32x4.splat(0);
  const out1 = out + strideOut;
  const out2 = out1 + strideOut;
  const out3 = out2 + strideOut;
  let s00 = add ? v128.load(out) : zero;
  let s01 = add ? v128.load(out, VECTOR) : zero;
  let s10 = add ? v128.load(out1) : zero;
  let s11 = add ? v128.load(out1, VECTOR) : zero;
  let s20 = add ? v128.load(out2) : zero;
  let s21 = add ? v128.load(out2, VECTOR) : zero;
  let s30 = add ? v128.load(out3) : zero;
  let s31 = add ? v128.load(out3, VECTOR) : zero;
  let a1 = a + rowA;
  let a2 = a1 + rowA;
  let a3 = a2 + rowA;
  for (let k = 0; k < count; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, VECTOR);
    const l0 = v128.load_splat<f32>(a);
    s00 = f32x4.add(s00, f32x4.mul(l0, b0));
    s01 = f32x4.add(s01, f32x4.mul(l0, b1));
    const l1 = v128.load_splat<f32>(a1);
    s10 = f32x4.add(s10, f32x4.mul(l1, b0));
    s11 = f32x4.add(s11, f32x4.mul(l1, b1));
    const l2 = v128.load_splat<f32>(a2);
    s20 = f32x4.add(s20, f32x4.mul(l2, b0));
    s21 = f32x4.add(s21, f32x4.mul(l2, b1));
    const l3 = v128.load_splat<f32>(a3);
    s30 = f32x4.add(s30, f32x4.mul(l3, b0));
    s31 = f32x4.add(s31, f32x4.mul(l3, b1));
    a += stepA;
    a1 += stepA;
    a2 += stepA;
    a3 += stepA;
    b += strideB;
  }
  v128.store(out, s00);
  v128.store(out, s01, VECTOR);
  v128.store(out1, s10);
  v128.store(out1, s11, VECTOR);
  v128.store(out2, s20);
  v128.store(out2, s21, VECTOR);
  v128.store(out3, s30);
  v128.store(out3, s31, VECTOR);
}

/** One row of two vectors. */
function tile1(add: bool, count: i32, a: usize, stepA: usize, b: usize, strideB: usize, out: usize): void {
  let s0 = add ? v128.load(out) : f32x4.splat(0);
  let s1 = add ? v128.load(out, VECTOR) : f32x4.splat(0);
  for (let k = 0; k < count; k++) {
    const left = v128.load_splat<f32>(a);
    s0 = f32x4.add(s0, f32x4.mul(left, v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(left, v128.load(b, VECTOR)));
    a += stepA;
    b += strideB;
  }
  v128.store(out, s0);
  v128.store(out, s1, VECTOR);
}

/** to[c][r] = from[r][c]; rows and columns are multiples of four. */
export function transpose(rows: i32, columns: i32, from: usize, strideFrom: usize, to: usize, strideTo: usize): void {
  for (let r = 0; r < rows; r += 4) {
    for (let c = 0; c < columns; c += 4) {
      const at = from + <usize>r * strideFrom + (<usize>c << 2);
      const v0 = v128.load(at);
      const v1 = v128.load(at + strideFrom);
      const v2 = v128.load(at + 2 * strideFrom);
      const v3 = v128.load(at + 3 * strideFrom);
      const low02 = i32x4.shuffle(v0, v2, 0, 4, 1, 5);
      const low13 = i32x4.shuffle(v1, v3, 0, 4, 1, 5);
      const high02 = i32x4.shuffle(v0, v2, 2, 6, 3, 7);
      const high13 = i32x4.shuffle(v1, v3, 2, 6, 3, 7);
      const out = to + <usize>c * strideTo + (<usize>r << 2);
      v128.store(out, i32x4.shuffle(low02, low13, 0, 4, 1, 5));
      v128.store(out + strideTo, i32x4.shuffle(low02, low13, 2, 6, 3, 7));
      v128.store(out + 2 * strideTo, i32x4.shuffle(high02, high13, 0, 4, 1, 5));
      v128.store(out + 3 * strideTo, i32x4.shuffle(high02, high13, 2, 6, 3, 7));
    }
  }
}
