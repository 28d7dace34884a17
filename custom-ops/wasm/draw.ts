/**
 * Random numbers in bulk, bit for bit those of src/draw.ts, which says what they are: four generators side by side, each in a lane. The
 * module has a memory of its own: the state, four vectors, at 0, the numbers behind it, up to 4,096, and the cubics of the normal distribution.
 */

const OUT: usize = 64;
const TABLE: usize = OUT + 4 * 4096;
/** How far into the table the first cubic would be: that of the float32 number 1. */
const FIRST: usize = 127 * 8 * 16;
const VECTOR: usize = 16;

// @ts-ignore: decorator
@inline
function rotate(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

/** Writes `count` numbers, a multiple of four, of one kind or the other: each word, of xoshiro128**, becomes one while it is at hand. */
// @ts-ignore: decorator
@inline
function draw(isNormal: bool, count: i32, low: f32, scale: f32): void {
  let a = v128.load(0);
  let b = v128.load(16);
  let c = v128.load(32);
  let d = v128.load(48);
  const stop = OUT + (<usize>count << 2);
  for (let at = OUT; at < stop; at += VECTOR) {
    const times5 = i32x4.add(i32x4.shl(b, 2), b);
    const rotated = rotate(times5, 7);
    const word = i32x4.add(i32x4.shl(rotated, 3), rotated); // times 9
    const shifted = i32x4.shl(b, 9);
    c = v128.xor(c, a);
    d = v128.xor(d, b);
    b = v128.xor(b, c);
    a = v128.xor(a, d);
    c = v128.xor(c, shifted);
    d = rotate(d, 11);
    v128.store(at, isNormal ? normalOf(word) : uniformOf(word, low, scale));
  }
  v128.store(0, a);
  v128.store(16, b);
  v128.store(32, c);
  v128.store(48, d);
}

export function uniform(count: i32, low: f32, scale: f32): void {
  draw(false, count, low, scale);
}

export function normal(count: i32): void {
  draw(true, count, 0, 0);
}

// @ts-ignore: decorator
@inline
function uniformOf(word: v128, low: f32, scale: f32): v128 {
  const place = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(word, 9)), f32x4.splat(0.5));
  return f32x4.add(f32x4.splat(low), f32x4.mul(f32x4.splat(scale), place));
}

/** By the cubics of src/normal.ts, which are behind the numbers. */
// @ts-ignore: decorator
@inline
function normalOf(word: v128): v128 {
  const signs = i32x4.splat(0x80000000);
  const x = f32x4.convert_i32x4_s(v128.or(v128.andnot(word, signs), i32x4.splat(1)));
  const parts = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x7ff0));
  const a = v128.load(<usize>i32x4.extract_lane(parts, 0), TABLE - FIRST);
  const b = v128.load(<usize>i32x4.extract_lane(parts, 1), TABLE - FIRST);
  const c = v128.load(<usize>i32x4.extract_lane(parts, 2), TABLE - FIRST);
  const d = v128.load(<usize>i32x4.extract_lane(parts, 3), TABLE - FIRST);
  const ab01 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd01 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const ab23 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd23 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  const t = f32x4.convert_i32x4_s(v128.and(x, i32x4.splat(0xfffff)));
  let y = f32x4.add(f32x4.mul(v128.shuffle<f64>(ab23, cd23, 1, 3), t), v128.shuffle<f64>(ab23, cd23, 0, 2));
  y = f32x4.add(f32x4.mul(y, t), v128.shuffle<f64>(ab01, cd01, 1, 3));
  y = f32x4.add(f32x4.mul(y, t), v128.shuffle<f64>(ab01, cd01, 0, 2));
  return v128.xor(y, v128.and(word, signs));
}
