/** One variable's step of AdamW, and its share of the global norm. */
import {load4, store4} from './vector';

/** `gradScale` is a pointer. `kept`: what weight decay leaves of a parameter; `stepSize` and `correction` hold the bias corrections of the moments. */
export function adamW(
  param: usize, grad: usize, m: usize, v: usize, newParam: usize, newM: usize, newV: usize, gradScale: usize,
  size: i32, beta1: f32, oneMinusBeta1: f32, beta2: f32, oneMinusBeta2: f32,
  kept: f32, stepSize: f32, correction: f32, epsilon: f32,
): void {
  const scale = v128.load_splat<f32>(gradScale);
  for (let i = 0; i < size; i += 4) {
    const at = <usize>i << 2;
    const count = size - i;
    const g = f32x4.mul(load4(grad + at, count), scale);
    const first = f32x4.add(
      f32x4.mul(load4(m + at, count), f32x4.splat(beta1)),
      f32x4.mul(g, f32x4.splat(oneMinusBeta1)),
    );
    const second = f32x4.add(
      f32x4.mul(load4(v + at, count), f32x4.splat(beta2)),
      f32x4.mul(f32x4.mul(g, f32x4.splat(oneMinusBeta2)), g),
    );
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(second), f32x4.splat(correction)), f32x4.splat(epsilon));
    const change = f32x4.div(f32x4.mul(first, f32x4.splat(stepSize)), root);
    store4(newParam + at, f32x4.sub(f32x4.mul(load4(param + at, count), f32x4.splat(kept)), change), count);
    store4(newM + at, first, count);
    store4(newV + at, second, count);
  }
}

/** Σ x² in float64. */
export function sumSquares(x: usize, size: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i = 0; i < size; i += 4) {
    const v = load4(x + (<usize>i << 2), size - i);
    const a = f64x2.promote_low_f32x4(v);
    const b = f64x2.promote_low_f32x4(i32x4.shuffle(v, v, 2, 3, 0, 1));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** Lets JavaScript write a result without taking a view of the heap. */
export function storeFloat(at: usize, value: f32): void {
  store<f32>(at, value);
}
