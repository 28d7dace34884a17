/** The root-mean-square norm: two passes over each row, sums in float64. */
import {load4, narrow, store4} from './vector';

/** 1/√(mean r² + ε) of a row. */
function inverse(r: usize, channels: i32, epsilon: f64): f64 {
  let sum = f64x2.splat(0);
  for (let d = 0; d < channels; d += 2) {
    const v = load2(r + (<usize>d << 2), channels - d);
    sum = f64x2.add(sum, f64x2.mul(v, v));
  }
  const squares = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  return 1 / sqrt<f64>(squares / <f64>channels + epsilon);
}

/** y = r / √(mean r² + ε) · weight, of a row. */
export function normRow(r: usize, weight: usize, y: usize, channels: i32, epsilon: f64): void {
  const scale = f32x4.splat(<f32>inverse(r, channels, epsilon));
  for (let d = 0; d < channels; d += 4) {
    const at = <usize>d << 2;
    const v = f32x4.mul(load4(r + at, channels - d), scale);
    store4(y + at, f32x4.mul(v, load4(weight + at, channels - d)), channels - d);
  }
}

/** With a residual, x + residual goes to `sum`, and is what is normalised. */
export function rmsNorm(
  x: usize, weight: usize, residual: usize, y: usize, sum: usize, rows: i32, channels: i32, epsilon: f64,
): void {
  const row = <usize>channels << 2;
  for (let i = 0; i < rows; i++) {
    if (residual) {
      for (let d = 0; d < channels; d += 4) {
        const at = <usize>d << 2;
        store4(sum + at, f32x4.add(load4(x + at, channels - d), load4(residual + at, channels - d)), channels - d);
      }
      residual += row;
    }
    normRow(residual ? sum : x, weight, y, channels, epsilon);
    x += row;
    y += row;
    sum += row;
  }
}

/**
 * The gradient of a row, to which `dResidual` is added unless it is 0; what the row gives the weight is added to the doubles `wide`.
 * Gives 1/√(mean r² + ε). In float64 all through: with few channels nearly all of the gradient cancels, because the norm undoes a
 * change along r.
 */
export function normRowGrad(
  r: usize, weight: usize, dy: usize, dResidual: usize, dr: usize, wide: usize, channels: i32, epsilon: f64,
): f64 {
  const inv = inverse(r, channels, epsilon);
  const scale = f64x2.splat(inv);
  let sum = f64x2.splat(0); // Σ weight·dy·r
  for (let d = 0; d < channels; d += 2) {
    const at = <usize>d << 2;
    const to = wide + (<usize>d << 3);
    const g = f64x2.mul(load2(dy + at, channels - d), load2(r + at, channels - d));
    sum = f64x2.add(sum, f64x2.mul(g, load2(weight + at, channels - d)));
    store2(to, f64x2.add(loadWide2(to, channels - d), f64x2.mul(g, scale)), channels - d);
  }
  const along = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  const pull = f64x2.splat((along * inv * inv * inv) / <f64>channels);
  for (let d = 0; d < channels; d += 2) {
    const at = <usize>d << 2;
    const count = channels - d;
    const direct = f64x2.mul(f64x2.mul(load2(weight + at, count), load2(dy + at, count)), scale);
    let g = f64x2.sub(direct, f64x2.mul(load2(r + at, count), pull));
    if (dResidual) g = f64x2.add(g, load2(dResidual + at, count));
    store4(dr + at, f32x4.demote_f64x2_zero(g), min(2, count));
  }
  return inv;
}

/** `wide`: D doubles. */
export function rmsNormGrad(
  r: usize, weight: usize, dy: usize, dResidual: usize, dr: usize, dWeight: usize, wide: usize,
  rows: i32, channels: i32, epsilon: f64,
): void {
  const row = <usize>channels << 2;
  memory.fill(wide, 0, <usize>channels << 3);
  for (let i = 0; i < rows; i++) {
    normRowGrad(r, weight, dy, dResidual, dr, wide, channels, epsilon);
    r += row;
    dy += row;
    dr += row;
    if (dResidual) dResidual += row;
  }
  narrow(wide, dWeight, channels);
}

/** Two floats as doubles, or one and a zero. */
// @ts-ignore: decorator
@inline
function load2(at: usize, count: i32): v128 {
  return f64x2.promote_low_f32x4(count >= 2 ? v128.load_zero<f64>(at) : v128.load_zero<f32>(at));
}

/** Two doubles, or one and a zero. */
// @ts-ignore: decorator
@inline
function loadWide2(at: usize, count: i32): v128 {
  return count >= 2 ? v128.load(at) : v128.load_zero<f64>(at);
}

/** Writes two doubles, or one: the next group's sums are behind it. */
// @ts-ignore: decorator
@inline
function store2(at: usize, v: v128, count: i32): void {
  if (count >= 2) {
    v128.store(at, v);
  } else {
    v128.store_lane<f64>(at, v, 0);
  }
}
