/** The root-mean-square norm as the mathematics reads, in float64: the truth that every kernel is tested against. */
import type {Array64} from '../float64';
import {zeros64} from '../float64';

export interface RmsNormReferenceInputs {
  x: Array64;
  weight: Array64;
  residual?: Array64;
}

function sum({x, residual}: RmsNormReferenceInputs): Array64 {
  return {shape: x.shape, values: residual ? x.values.map((value, i) => value + residual.values[i]) : x.values.slice()};
}

/** 1/√(mean r² + ε) of every row. */
function inverses(r: Array64, channels: number, epsilon: number): Float64Array {
  return Float64Array.from({length: r.values.length / channels}, (_, row) => {
    const squares = r.values.subarray(row * channels, (row + 1) * channels).map((value) => value * value);
    return 1 / Math.sqrt(squares.reduce((a, b) => a + b, 0) / channels + epsilon);
  });
}

/** y and, if a residual goes in, x + residual. */
export function rmsNormReference(inputs: RmsNormReferenceInputs, epsilon: number): {y: Array64; residual?: Array64} {
  const r = sum(inputs);
  const {weight} = inputs;
  const channels = weight.values.length;
  const inv = inverses(r, channels, epsilon);
  const values = r.values.map((value, i) => value * inv[Math.floor(i / channels)] * weight.values[i % channels]);
  return {y: {shape: r.shape, values}, ...(inputs.residual && {residual: r})};
}

/** The gradient of Σ y·dy + Σ residual'·dResidual with respect to every input that is present. */
export function rmsNormGradReference(
  inputs: RmsNormReferenceInputs,
  epsilon: number,
  dy: Array64,
  dResidual?: Array64,
): {[K in keyof RmsNormReferenceInputs]: Array64} {
  const r = sum(inputs);
  const {weight, residual} = inputs;
  const channels = weight.values.length;
  const inv = inverses(r, channels, epsilon);
  const dr = zeros64(r.shape);
  const dWeight = zeros64(weight.shape);
  inv.forEach((scale, row) => {
    let along = 0; // Σ weight·dy·r
    for (let d = 0; d < channels; d++) {
      const i = row * channels + d;
      along += weight.values[d] * dy.values[i] * r.values[i];
      dWeight.values[d] += dy.values[i] * r.values[i] * scale;
    }
    for (let d = 0; d < channels; d++) {
      const i = row * channels + d;
      dr.values[i] =
        scale * weight.values[d] * dy.values[i] -
        (r.values[i] * along * scale ** 3) / channels +
        (dResidual ? dResidual.values[i] : 0);
    }
  });
  return {x: dr, weight: dWeight, ...(residual && {residual: dr})};
}
