/**
 * The scalar functions that several ops share, in WGSL, and a sum over the workgroup. WGSL promises little for log and near overflow,
 * so these never take an exponential that overflows, nor the logarithm of what is close to one.
 */

/** softplus as torch has it, with full precision for very negative x: max(x,0) + log1p(e^-|x|), log1p by its atanh series. */
export const softplusWgsl = `
fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  let s = e / (2.0 + e);
  let q = s * s;
  let series = 1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * 0.07692308)))));
  return select(max(x, 0.0) + 2.0 * s * series, x, x > 20.0);
}
`;

/** 1 / (1 + e^-x), and the slope of silu(x) = x·σ(x). */
export const sigmoidWgsl = `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}
fn siluSlope(x: f32) -> f32 {
  let s = sigmoid(x);
  return s * (1.0 + x * (1.0 - s));
}
`;

/** e^x - 1 without cancellation. */
export const expm1Wgsl = `
fn expm1(x: f32) -> f32 {
  let series = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 +
    x * 0.00019841270))))));
  return select(exp(x) - 1.0, series, abs(x) < 0.4);
}
`;

/**
 * `workgroupSum(x, lane)`: the sum of x over a workgroup of `size` (a power of two), in every invocation of it; a tree of fixed
 * shape. To be called by all invocations.
 */
export const workgroupSumWgsl = (size: number) => `
var<workgroup> sums: array<f32, ${size}>;
fn workgroupSum(x: f32, lane: u32) -> f32 {
  workgroupBarrier();
  sums[lane] = x;
  workgroupBarrier();
  for (var half = ${size / 2}u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  return sums[0];
}
`;
