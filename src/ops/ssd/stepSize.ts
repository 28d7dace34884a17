/**
 * From the raw Δ to the step size: softplus, then the limits, in the order of the official code. The gradient is that of torch's
 * clamp, which passes at the limits and stops outside.
 */
import {sigmoid, softplus} from '../scalar';

/** The attributes of every kernel that takes a raw Δ. */
export interface StepSizeAttrs {
  deltaSoftplus: boolean;
  /** The limits of the step size. Both are float32 and finite, the largest ones where there is no limit: a shader may not know infinity. */
  deltaMin: number;
  deltaMax: number;
}

/** The largest float32. */
export const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** δ of Δ + bias. */
export function stepSize(biased: number, {deltaSoftplus, deltaMin, deltaMax}: StepSizeAttrs): number {
  return Math.min(Math.max(deltaSoftplus ? softplus(biased) : biased, deltaMin), deltaMax);
}

/** The slope of δ at Δ + bias. */
export function stepSlope(biased: number, {deltaSoftplus, deltaMin, deltaMax}: StepSizeAttrs): number {
  const step = deltaSoftplus ? softplus(biased) : biased;
  if (step < deltaMin || step > deltaMax) {
    return 0;
  }
  return deltaSoftplus && biased <= 20 ? sigmoid(biased) : 1;
}

/** The attributes as an op of the native library takes them. */
export function nativeStepSize({deltaSoftplus, deltaMin, deltaMax}: StepSizeAttrs) {
  return {bools: {delta_softplus: deltaSoftplus}, floats: {delta_min: deltaMin, delta_max: deltaMax}};
}

/** The attributes as the functions of custom-ops/wasm take them. */
export function wasmStepSize({deltaSoftplus, deltaMin, deltaMax}: StepSizeAttrs): number[] {
  return [Number(deltaSoftplus), deltaMin, deltaMax];
}
