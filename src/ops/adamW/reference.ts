/** AdamW of one variable as its paper (Loshchilov & Hutter 2019, Algorithm 2) and torch.optim.AdamW have it, in float64. */

export interface AdamWReferenceState {
  param: Float64Array;
  firstMoment: Float64Array;
  secondMoment: Float64Array;
}

export interface AdamWReferenceOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Counted from 1. */
  step: number;
  gradScale: number;
}

export function adamWReference(
  {param, firstMoment, secondMoment}: AdamWReferenceState,
  grad: Float64Array,
  {learningRate, beta1, beta2, epsilon, weightDecay, step, gradScale}: AdamWReferenceOptions,
): AdamWReferenceState {
  const g = grad.map((value) => value * gradScale);
  const m = firstMoment.map((value, k) => beta1 * value + (1 - beta1) * g[k]);
  const v = secondMoment.map((value, k) => beta2 * value + (1 - beta2) * g[k] ** 2);
  const decayed = param.map((value) => value - learningRate * weightDecay * value);
  const updated = decayed.map((value, k) => {
    const mean = m[k] / (1 - beta1 ** step);
    const variance = v[k] / (1 - beta2 ** step);
    return value - (learningRate * mean) / (Math.sqrt(variance) + epsilon);
  });
  return {param: updated, firstMoment: m, secondMoment: v};
}

/** The Euclidean norm of all elements of all arrays. */
export function globalNormReference(arrays: readonly Float64Array[]): number {
  return Math.hypot(...arrays.map((array) => Math.hypot(...array)));
}
