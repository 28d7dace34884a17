/**
 * Random numbers in bulk, bit for bit those of src/draw.ts, which says what they are: four generators side by side, each in a lane. The
 * module has a memory of its own: the state, four vectors, at 0, and the numbers behind it.
 */

const OUT: usize = 64;
const VECTOR: usize = 16;

// @ts-ignore: decorator
@inline
function rotate(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

/** Writes the next `count` words of xoshiro128**, a multiple of four. */
function words(count: i32): usize {
  let a = v128.load(0);
  let b = v128.load(16);
  let c = v128.load(32);
  let d = v128.load(48);
  const stop = OUT + (<usize>count << 2);
  for (let at = OUT; at < stop; at += VECTOR) {
    const times5 = i32x4.add(i32x4.shl(b, 2), b);
    const rotated = rotate(times5, 7);
    v128.store(at, i32x4.add(i32x4.shl(rotated, 3), rotated)); // times 9
    const shifted = i32x4.shl(b, 9);
    c = v128.xor(c, a);
    d = v128.xor(d, b);
    b = v128.xor(b, c);
    a = v128.xor(a, d);
    c = v128.xor(c, shifted);
    d = rotate(d, 11);
  }
  v128.store(0, a);
  v128.store(16, b);
  v128.store(32, c);
  v128.store(48, d);
  return stop;
}

/** Writes `count` numbers, a multiple of four. */
export function uniform(count: i32, low: f32, scale: f32): void {
  const from = f32x4.splat(low);
  const by = f32x4.splat(scale);
  for (let at = OUT, stop = words(count); at < stop; at += VECTOR) {
    const place = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(v128.load(at), 9)), f32x4.splat(0.5));
    v128.store(at, f32x4.add(from, f32x4.mul(by, place)));
  }
}

/** Likewise. */
export function normal(count: i32, scale: f32): void {
  const by = f32x4.splat(scale);
  const signs = i32x4.splat(0x80000000);
  for (let at = OUT, stop = words(count); at < stop; at += VECTOR) {
    const word = v128.load(at);
    const bits = f32x4.convert_i32x4_s(v128.andnot(word, signs));
    const u = f32x4.mul(f32x4.add(bits, f32x4.splat(0.5)), f32x4.splat(4.656612873077393e-10));
    const w = minusLog(f32x4.mul(u, f32x4.sub(f32x4.splat(2), u)));
    const far = f32x4.ge(w, f32x4.splat(5));
    let y = central(f32x4.sub(w, f32x4.splat(2.5)));
    if (v128.any_true(far)) y = v128.bitselect(tail(f32x4.sub(f32x4.sqrt(w), f32x4.splat(3))), y, far);
    const value = f32x4.mul(f32x4.mul(y, f32x4.sub(f32x4.splat(1), u)), by);
    v128.store(at, v128.xor(value, v128.and(word, signs)));
  }
}

// @ts-ignore: decorator
@inline
function step(sum: v128, x: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, x), f32x4.splat(coefficient));
}

// @ts-ignore: decorator
@inline
function minusLog(x: v128): v128 {
  const exponent = i32x4.shr_s(i32x4.sub(x, i32x4.splat(0x3f2aaaab)), 23);
  const f = f32x4.sub(i32x4.sub(x, i32x4.shl(exponent, 23)), f32x4.splat(1));
  const s = f32x4.div(f, f32x4.add(f, f32x4.splat(2)));
  const q = f32x4.mul(s, s);
  let sum = step(f32x4.splat(<f32>(2.0 / 9)), q, <f32>(2.0 / 7));
  sum = step(sum, q, <f32>(2.0 / 5));
  sum = step(sum, q, <f32>(2.0 / 3));
  sum = step(sum, q, 2);
  const whole = f32x4.mul(f32x4.convert_i32x4_s(exponent), f32x4.splat(0.6931471805599453));
  return f32x4.neg(f32x4.add(whole, f32x4.mul(s, sum)));
}

// @ts-ignore: decorator
@inline
function central(x: v128): v128 {
  let sum = step(f32x4.splat(2.81022636e-8), x, 3.43273939e-7);
  sum = step(sum, x, -3.5233877e-6);
  sum = step(sum, x, -4.39150654e-6);
  sum = step(sum, x, 0.00021858087);
  sum = step(sum, x, -0.00125372503);
  sum = step(sum, x, -0.00417768164);
  sum = step(sum, x, 0.246640727);
  return step(sum, x, 1.50140941);
}

function tail(x: v128): v128 {
  let sum = step(f32x4.splat(-0.000200214257), x, 0.000100950558);
  sum = step(sum, x, 0.00134934322);
  sum = step(sum, x, -0.00367342844);
  sum = step(sum, x, 0.00573950773);
  sum = step(sum, x, -0.0076224613);
  sum = step(sum, x, 0.00943887047);
  sum = step(sum, x, 1.00167406);
  return step(sum, x, 2.83297682);
}
