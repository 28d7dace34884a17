/** One step of the causal convolution in float64: the convolution's reference at length 1. */
import type {ConvActivation} from '../causalConv1d/kernels';
import {causalConv1dGradReference, causalConv1dReference} from '../causalConv1d/reference';
import type {Array64} from '../float64';

export interface ConvUpdateReferenceInputs {
  x: Array64;
  state: Array64;
  weight: Array64;
  bias?: Array64;
}

const withTime = ({shape: [batch, channels], values}: Array64): Array64 => ({shape: [batch, 1, channels], values});

const asConv = ({x, state, weight, bias}: ConvUpdateReferenceInputs) => ({
  x: withTime(x),
  weight,
  ...(bias && {bias}),
  initialState: state,
});

/** y [B,D] and the state after the step [B,K-1,D]. */
export function causalConv1dUpdateReference(
  inputs: ConvUpdateReferenceInputs,
  activation: ConvActivation,
): {y: Array64; state: Array64} {
  const {y, finalState} = causalConv1dReference(asConv(inputs), activation);
  return {y: {shape: inputs.x.shape, values: y.values}, state: finalState};
}

/** The gradient of Σ y·dy + Σ state'·dState with respect to every input that is present. */
export function causalConv1dUpdateGradReference(
  inputs: ConvUpdateReferenceInputs,
  activation: ConvActivation,
  dy: Array64,
  dState: Array64,
): {[K in keyof ConvUpdateReferenceInputs]: Array64} {
  const {x, weight, bias, initialState} = causalConv1dGradReference(asConv(inputs), activation, withTime(dy), dState);
  return {x: {shape: inputs.x.shape, values: x.values}, state: initialState!, weight, ...(bias && {bias})};
}
