/**
 * exp, log1p and what is made of them, four at a time. The largest errors, relative to the exact value and measured over the whole
 * range by test/backends/wasm.spec.ts: exp 2e-7, expm1 2e-7, log1p and softplus 3e-7, sigmoid 3e-7. Polynomials are minimax fits.
 *
 * A power of two is split off by adding 1.5·2²³, which leaves the rounded exponent in the low bits of the sum: that is four
 * instructions, where a conversion to integers that saturates, WebAssembly's only one, takes many more.
 */

const ROUND: f32 = 12582912;

/** x held where 2^x can be split: below -127 it is nothing. From 127.5 on its power of two, and so `scaled`, is infinite. */
// @ts-ignore: decorator
@inline
export function hold2(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(128)), f32x4.splat(-127));
}

/** Where 2^x is split: the low bits of the result are round(x). */
// @ts-ignore: decorator
@inline
export function shift(x: v128): v128 {
  return f32x4.add(x, f32x4.splat(ROUND));
}

/** 2^r - 1 for the part r that rounding leaves, at most ½; exact to the last bits near 0. */
// @ts-ignore: decorator
@inline
export function exp2m1Part(x: v128, shifted: v128): v128 {
  const r = f32x4.sub(x, f32x4.sub(shifted, f32x4.splat(ROUND)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(1.54035116e-4), r), f32x4.splat(1.33907353e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(9.61823761e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.55035733e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.240226492));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.693147182));
  return f32x4.mul(p, r);
}

/**
 * v·2^x from the two parts of 2^x: what a decay close to 1 takes away keeps its digits, and so does what a strong one leaves. Right
 * wherever the result is finite, which it need not be for v near the largest float, x above 127.5, and infinite v; then there is
 * `scaledAnyhow`.
 */
// @ts-ignore: decorator
@inline
export function scaled(v: v128, part: v128, power: v128): v128 {
  return f32x4.mul(power, f32x4.add(v, f32x4.mul(v, part)));
}

/**
 * The same for any v and x, as float64 has it before it is rounded: 0·2^200 is 0, ∞·2^-200 is ∞. The power of two is taken in halves,
 * each of them a float, and an infinity does not meet its negative.
 */
export function scaledAnyhow(v: v128, x: v128): v128 {
  const infinity = f32x4.splat(Infinity);
  const h = f32x4.pmax(f32x4.pmin(x, f32x4.splat(252)), f32x4.splat(-252));
  const shifted = shift(h);
  const k = i32x4.sub(shifted, f32x4.splat(ROUND));
  const half = i32x4.shr_s(k, 1);
  const first = f32x4.mul(v, powerOf(half));
  const sum = f32x4.add(first, f32x4.mul(first, exp2m1Part(h, shifted)));
  const finite = f32x4.mul(v128.bitselect(first, sum, f32x4.eq(f32x4.abs(first), infinity)), powerOf(i32x4.sub(k, half)));
  // Where float64's power is nothing or infinite itself; NaN if x is.
  let rest = f32x4.add(f32x4.splat(1), f32x4.sub(h, h));
  rest = v128.bitselect(f32x4.splat(0), rest, f32x4.lt(x, f32x4.splat(-1075)));
  rest = v128.bitselect(infinity, rest, f32x4.ge(x, f32x4.splat(1024)));
  return f32x4.mul(finite, rest);
}

/** (1 + p)·2^k - 1, where the low bits of `shifted` are k. */
// @ts-ignore: decorator
@inline
function withPower(shifted: v128, p: v128): v128 {
  const power = powerOf(shifted);
  return f32x4.add(f32x4.mul(power, p), f32x4.sub(power, f32x4.splat(1)));
}

/** The power of two whose exponent is in the low bits. */
// @ts-ignore: decorator
@inline
export function powerOf(shifted: v128): v128 {
  return i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(0x3f800000));
}

/** x - k·ln 2, in two parts, because k·ln 2 has more digits than a float. */
// @ts-ignore: decorator
@inline
function reduce(x: v128, k: v128): v128 {
  return f32x4.sub(f32x4.sub(x, f32x4.mul(k, f32x4.splat(0.693359375))), f32x4.mul(k, f32x4.splat(-2.12194440e-4)));
}

/** e^r - 1 for |r| up to ½ ln 2. */
// @ts-ignore: decorator
@inline
function expm1Near0(r: v128): v128 {
  let p = f32x4.add(f32x4.mul(f32x4.splat(1.38888648e-3), r), f32x4.splat(8.36907141e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.16671447e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.166665062));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.49999997));
  return f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r);
}

/** The argument held where its power of two is a float; nobody asks for more than e^0, but for what rounding adds to it. */
// @ts-ignore: decorator
@inline
function held(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(88)), f32x4.splat(-88));
}

/** e^x; x is held within ±88. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const h = held(x);
  const shifted = f32x4.add(f32x4.mul(h, f32x4.splat(1.44269504)), f32x4.splat(ROUND));
  const r = reduce(h, f32x4.sub(shifted, f32x4.splat(ROUND)));
  const power = powerOf(shifted);
  return f32x4.add(f32x4.mul(power, expm1Near0(r)), power);
}

/** e^x - 1; x is held within ±88. */
// @ts-ignore: decorator
@inline
export function expm1(x: v128): v128 {
  const h = held(x);
  const shifted = f32x4.add(f32x4.mul(h, f32x4.splat(1.44269504)), f32x4.splat(ROUND));
  return withPower(shifted, expm1Near0(reduce(h, f32x4.sub(shifted, f32x4.splat(ROUND)))));
}

/** log(1 + t) for t in [0, 1]: 2·atanh(t / (2 + t)), exact to the last bits near 0. */
// @ts-ignore: decorator
@inline
export function log1p(t: v128): v128 {
  const s = f32x4.div(t, f32x4.add(t, f32x4.splat(2)));
  const w = f32x4.mul(s, s);
  let p = f32x4.add(f32x4.mul(f32x4.splat(0.140059933), w), f32x4.splat(0.140009031));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.200107634));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.333332092));
  const twice = f32x4.add(s, s);
  return f32x4.add(twice, f32x4.mul(twice, f32x4.mul(p, w)));
}

/** log(1 + e^x), which above 20 is x to the last bit: torch's threshold needs no branch. */
// @ts-ignore: decorator
@inline
export function softplus(x: v128): v128 {
  const tail = log1p(exp(f32x4.neg(f32x4.abs(x))));
  return f32x4.add(f32x4.max(x, f32x4.splat(0)), tail);
}

/** 1 / (1 + e^-x), from e^-|x| so that nothing overflows or cancels. */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  const e = exp(f32x4.neg(f32x4.abs(x)));
  const one = f32x4.splat(1);
  const numerator = v128.bitselect(e, one, f32x4.lt(x, f32x4.splat(0)));
  return f32x4.div(numerator, f32x4.add(one, e));
}

/** x·σ(x) */
// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  return f32x4.mul(x, sigmoid(x));
}

/** The slope of silu, from x and s = σ(x): s·(1 + x·(1 - s)). */
// @ts-ignore: decorator
@inline
export function siluSlope(x: v128, s: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.mul(s, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, s))));
}
