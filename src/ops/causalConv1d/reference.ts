/** The causal convolution as the mathematics reads, in float64: the truth that every kernel is tested against. */
import type {Array64} from '../float64';
import {zeros64} from '../float64';
import {sigmoid, siluSlope} from '../scalar';
import type {ConvActivation} from './kernels';

export interface ConvReferenceInputs {
  x: Array64;
  weight: Array64;
  bias?: Array64;
  initialState?: Array64;
}

/** The sequence with its past in front, [B,K-1+L,D]. */
function withPast({x, weight, initialState}: ConvReferenceInputs): Array64 {
  const [batch, length, channels] = x.shape;
  const past = weight.shape[1] - 1;
  const extended = zeros64([batch, past + length, channels]);
  for (let b = 0; b < batch; b++) {
    const row = b * (past + length) * channels;
    if (initialState) {
      extended.values.set(initialState.values.subarray(b * past * channels, (b + 1) * past * channels), row);
    }
    const from = b * length * channels;
    extended.values.set(x.values.subarray(from, from + length * channels), row + past * channels);
  }
  return extended;
}

/** Calls back for every output element with its place, and its place at shift 0 in the extended sequence. */
function forEachOutput(
  {x, weight}: ConvReferenceInputs,
  visit: (at: number, extendedAt: number, channel: number) => void,
): void {
  const [batch, length, channels] = x.shape;
  const past = weight.shape[1] - 1;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let d = 0; d < channels; d++) {
        visit((b * length + t) * channels + d, (b * (past + length) + t) * channels + d, d);
      }
    }
  }
}

function sumAt({weight, bias}: ConvReferenceInputs, extended: Array64, extendedAt: number, d: number): number {
  const [channels, width] = weight.shape;
  let sum = bias ? bias.values[d] : 0;
  for (let k = 0; k < width; k++) {
    sum += weight.values[d * width + k] * extended.values[extendedAt + k * channels];
  }
  return sum;
}

/** Rows `from … from+count-1` in time of the extended sequence. */
function rows({shape: [batch, length, channels], values}: Array64, from: number, count: number): Array64 {
  const result = zeros64([batch, count, channels]);
  for (let b = 0; b < batch; b++) {
    const start = (b * length + from) * channels;
    result.values.set(values.subarray(start, start + count * channels), b * count * channels);
  }
  return result;
}

/** y [B,L,D] and finalState [B,K-1,D]. */
export function causalConv1dReference(
  inputs: ConvReferenceInputs,
  activation: ConvActivation,
): {y: Array64; finalState: Array64} {
  const extended = withPast(inputs);
  const y = zeros64(inputs.x.shape);
  forEachOutput(inputs, (at, extendedAt, d) => {
    const sum = sumAt(inputs, extended, extendedAt, d);
    y.values[at] = activation === 'silu' ? sum * sigmoid(sum) : sum;
  });
  return {y, finalState: rows(extended, inputs.x.shape[1], inputs.weight.shape[1] - 1)};
}

/** The gradient of Σ y·dy + Σ finalState·dFinalState with respect to every input that is present. */
export function causalConv1dGradReference(
  inputs: ConvReferenceInputs,
  activation: ConvActivation,
  dy: Array64,
  dFinalState: Array64,
): {[K in keyof ConvReferenceInputs]: Array64} {
  const {x, weight, bias, initialState} = inputs;
  const [batch, length] = x.shape;
  const [channels, width] = weight.shape;
  const extended = withPast(inputs);
  const dExtended = zeros64(extended.shape);
  const dWeight = zeros64(weight.shape);
  const dBias = zeros64([channels]);
  for (let b = 0; b < batch; b++) {
    const past = (width - 1) * channels;
    const from = (b * (width - 1 + length) + length) * channels;
    dExtended.values.set(dFinalState.values.subarray(b * past, (b + 1) * past), from);
  }
  forEachOutput(inputs, (at, extendedAt, d) => {
    const slope = activation === 'silu' ? siluSlope(sumAt(inputs, extended, extendedAt, d)) : 1;
    const dSum = dy.values[at] * slope;
    for (let k = 0; k < width; k++) {
      dExtended.values[extendedAt + k * channels] += weight.values[d * width + k] * dSum;
      dWeight.values[d * width + k] += extended.values[extendedAt + k * channels] * dSum;
    }
    dBias.values[d] += dSum;
  });
  return {
    x: rows(dExtended, width - 1, length),
    weight: dWeight,
    ...(bias && {bias: dBias}),
    ...(initialState && {initialState: rows(dExtended, 0, width - 1)}),
  };
}
