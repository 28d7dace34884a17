/** Four floats at a time, also where fewer than four are left. */

/** Bytes of a vector. */
export const VECTOR: usize = 16;

/** The `count` floats at `at`, and zeros behind them; never reads beyond them. */
// @ts-ignore: decorator
@inline
export function load4(at: usize, count: i32): v128 {
  return count >= 4 ? v128.load(at) : loadPart(at, count);
}

function loadPart(at: usize, count: i32): v128 {
  let v = v128.load_zero<f32>(at);
  if (count > 1) v = v128.load_lane<f32>(at, v, 1, 4);
  if (count > 2) v = v128.load_lane<f32>(at, v, 2, 8);
  return v;
}

/** Writes the first `count` floats, four at most. */
// @ts-ignore: decorator
@inline
export function store4(at: usize, v: v128, count: i32): void {
  if (count >= 4) {
    v128.store(at, v);
  } else {
    storePart(at, v, count);
  }
}

function storePart(at: usize, v: v128, count: i32): void {
  v128.store_lane<f32>(at, v, 0);
  if (count > 1) v128.store_lane<f32>(at, v, 1, 4);
  if (count > 2) v128.store_lane<f32>(at, v, 2, 8);
}

/** `count` floats that lie `stride` bytes apart. */
// @ts-ignore: decorator
@inline
export function gather4(at: usize, stride: usize, count: i32): v128 {
  let v = v128.load_zero<f32>(at);
  if (count > 1) v = v128.load_lane<f32>(at + stride, v, 1);
  if (count > 2) v = v128.load_lane<f32>(at + 2 * stride, v, 2);
  if (count > 3) v = v128.load_lane<f32>(at + 3 * stride, v, 3);
  return v;
}

/** The reverse of gather4. */
// @ts-ignore: decorator
@inline
export function scatter4(at: usize, stride: usize, v: v128, count: i32): void {
  v128.store_lane<f32>(at, v, 0);
  if (count > 1) v128.store_lane<f32>(at + stride, v, 1);
  if (count > 2) v128.store_lane<f32>(at + 2 * stride, v, 2);
  if (count > 3) v128.store_lane<f32>(at + 3 * stride, v, 3);
}

/** The sum of the four, pairwise. */
// @ts-ignore: decorator
@inline
export function sum4(v: v128): f32 {
  const pairs = f32x4.add(v, i32x4.shuffle(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** The sum of the four in float64. */
// @ts-ignore: decorator
@inline
export function wideSum4(v: v128): f64 {
  const pairs = f64x2.add(f64x2.promote_low_f32x4(v), f64x2.promote_low_f32x4(i32x4.shuffle(v, v, 2, 3, 0, 1)));
  return f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1);
}

/** Whether none of the `count` floats at `at` is infinite or not a number. */
export function allFinite(at: usize, count: i32): bool {
  let zero = f32x4.splat(0);
  for (; count > 0; count -= 4, at += VECTOR) {
    const v = load4(at, count);
    zero = f32x4.add(zero, f32x4.sub(v, v));
  }
  return sum4(zero) === 0;
}

/** All bits of the first `count` lanes, four at most. */
// @ts-ignore: decorator
@inline
export function lanes4(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** Adds four floats to the four doubles at `at`. */
// @ts-ignore: decorator
@inline
export function addWide4(at: usize, v: v128): void {
  v128.store(at, f64x2.add(v128.load(at), f64x2.promote_low_f32x4(v)));
  const high = i32x4.shuffle(v, v, 2, 3, 0, 1);
  v128.store(at, f64x2.add(v128.load(at, 16), f64x2.promote_low_f32x4(high)), 16);
}

/** Four doubles as floats. */
// @ts-ignore: decorator
@inline
export function narrow4(at: usize): v128 {
  const low = f32x4.demote_f64x2_zero(v128.load(at));
  const high = f32x4.demote_f64x2_zero(v128.load(at, 16));
  return i32x4.shuffle(low, high, 0, 1, 4, 5);
}

/** Writes `count` doubles as floats. */
export function narrow(from: usize, to: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<f32>(to + (<usize>i << 2), <f32>load<f64>(from + (<usize>i << 3)));
  }
}
