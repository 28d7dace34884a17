/** The causal convolution as the mathematics reads, in float64: the truth that every kernel is tested against. */
import {documentsOf} from '../documents';
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

/** How many of the K inputs of a window that ends at t lie before the document that begins at `begin`; a row's first has its past. */
function outside(begin: number, t: number, past: number): number {
  return begin === 0 ? 0 : Math.max(0, past - (t - begin));
}

/**
 * Calls back for every output element with its place, its place at shift 0 in the extended sequence, and the first shift that is of its
 * document.
 */
function forEachOutput(
  {x, weight}: ConvReferenceInputs,
  sequenceIds: Array64 | undefined,
  visit: (at: number, extendedAt: number, channel: number, first: number) => void,
): void {
  const [batch, length, channels] = x.shape;
  const past = weight.shape[1] - 1;
  for (let b = 0; b < batch; b++) {
    for (const {begin, end} of documentsOf(sequenceIds, b, length)) {
      for (let t = begin; t < end; t++) {
        for (let d = 0; d < channels; d++) {
          const extendedAt = (b * (past + length) + t) * channels + d;
          visit((b * length + t) * channels + d, extendedAt, d, outside(begin, t, past));
        }
      }
    }
  }
}

function sumAt(
  {weight, bias}: ConvReferenceInputs,
  extended: Array64,
  extendedAt: number,
  d: number,
  first: number,
): number {
  const [channels, width] = weight.shape;
  let sum = bias ? bias.values[d] : 0;
  for (let k = first; k < width; k++) {
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

/** Per batch row, how many floats of a final state lie before its last document. */
function floatsOutside({x, weight}: ConvReferenceInputs, sequenceIds: Array64 | undefined): number[] {
  const [batch, length, channels] = x.shape;
  const past = weight.shape[1] - 1;
  return Array.from({length: batch}, (_, b) => {
    const last = documentsOf(sequenceIds, b, length).pop()!;
    // The window of the position behind the row, without that position.
    return Math.min(past, outside(last.begin, length, past)) * channels;
  });
}

/** y [B,L,D] and finalState [B,K-1,D]. */
export function causalConv1dReference(
  inputs: ConvReferenceInputs,
  activation: ConvActivation,
  sequenceIds?: Array64,
): {y: Array64; finalState: Array64} {
  const extended = withPast(inputs);
  const y = zeros64(inputs.x.shape);
  forEachOutput(inputs, sequenceIds, (at, extendedAt, d, first) => {
    const sum = sumAt(inputs, extended, extendedAt, d, first);
    y.values[at] = activation === 'silu' ? sum * sigmoid(sum) : sum;
  });
  const [, length, channels] = inputs.x.shape;
  const past = inputs.weight.shape[1] - 1;
  const finalState = rows(extended, length, past);
  floatsOutside(inputs, sequenceIds).forEach((floats, b) => {
    finalState.values.fill(0, b * past * channels, b * past * channels + floats);
  });
  return {y, finalState};
}

/** The gradient of Σ y·dy + Σ finalState·dFinalState with respect to every input that is present. */
export function causalConv1dGradReference(
  inputs: ConvReferenceInputs,
  activation: ConvActivation,
  dy: Array64,
  dFinalState: Array64,
  sequenceIds?: Array64,
): {[K in keyof ConvReferenceInputs]: Array64} {
  const {x, weight, bias, initialState} = inputs;
  const [, length] = x.shape;
  const [channels, width] = weight.shape;
  const extended = withPast(inputs);
  const dExtended = zeros64(extended.shape);
  const dWeight = zeros64(weight.shape);
  const dBias = zeros64([channels]);
  const past = (width - 1) * channels;
  floatsOutside(inputs, sequenceIds).forEach((floats, b) => {
    const to = (b * (width - 1 + length) + length) * channels;
    dExtended.values.set(dFinalState.values.subarray(b * past + floats, (b + 1) * past), to + floats);
  });
  forEachOutput(inputs, sequenceIds, (at, extendedAt, d, first) => {
    const slope = activation === 'silu' ? siluSlope(sumAt(inputs, extended, extendedAt, d, first)) : 1;
    const dSum = dy.values[at] * slope;
    for (let k = first; k < width; k++) {
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
