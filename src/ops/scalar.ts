/** The scalar functions that several ops share, in float64. */

/** softplus as torch has it: linear above 20; log1p keeps full precision for very negative x. */
export function softplus(x: number): number {
  return x > 20 ? x : Math.log1p(Math.exp(x));
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** The slope of silu(x) = x·σ(x). */
export function siluSlope(x: number): number {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
}
