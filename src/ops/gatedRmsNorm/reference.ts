/** The gated root-mean-square norm as the mathematics reads, in float64: the truth that every kernel is tested against. */
import type {Array64} from '../float64';
import {zeros64} from '../float64';
import {sigmoid, siluSlope} from '../scalar';
import type {GatedRmsNormAttrs} from './kernels';

export interface GatedRmsNormReferenceInputs {
  x: Array64;
  weight: Array64;
  z?: Array64;
}

const silu = (z: number) => z * sigmoid(z);

/** What is normed, x or x·silu(z), 1/√(mean + ε) of every group, and the channels of a group. */
function normed({x, weight, z}: GatedRmsNormReferenceInputs, {groups, normBeforeGate, epsilon}: GatedRmsNormAttrs) {
  const width = weight.values.length / groups;
  const gateFirst = z && !normBeforeGate;
  const r = x.values.map((value, i) => (gateFirst ? value * silu(z.values[i]) : value));
  const inverse = Float64Array.from({length: r.length / width}, (_, group) => {
    const squares = r.subarray(group * width, (group + 1) * width).map((value) => value * value);
    return 1 / Math.sqrt(squares.reduce((a, b) => a + b, 0) / width + epsilon);
  });
  return {r, inverse, width};
}

export function gatedRmsNormReference(inputs: GatedRmsNormReferenceInputs, attrs: GatedRmsNormAttrs): {y: Array64} {
  const {x, weight, z} = inputs;
  const {r, inverse, width} = normed(inputs, attrs);
  const values = r.map((value, i) => {
    const y = value * inverse[Math.floor(i / width)] * weight.values[i % weight.values.length];
    return z && attrs.normBeforeGate ? y * silu(z.values[i]) : y;
  });
  return {y: {shape: x.shape, values}};
}

/** The gradient of Σ y·dy with respect to every input that is present. */
export function gatedRmsNormGradReference(
  inputs: GatedRmsNormReferenceInputs,
  attrs: GatedRmsNormAttrs,
  dy: Array64,
): {[K in keyof GatedRmsNormReferenceInputs]: Array64} {
  const {x, weight, z} = inputs;
  const {r, inverse, width} = normed(inputs, attrs);
  const channels = weight.values.length;
  const dx = zeros64(x.shape);
  const dWeight = zeros64(weight.shape);
  const dz = zeros64(x.shape);
  for (let first = 0; first < r.length; first += width) {
    const scale = inverse[first / width];
    /** The gradient of r·scale·weight. */
    const g = (i: number) => (z && attrs.normBeforeGate ? dy.values[i] * silu(z.values[i]) : dy.values[i]);
    let along = 0; // Σ weight·g·r
    for (let i = first; i < first + width; i++) {
      along += weight.values[i % channels] * g(i) * r[i];
    }
    for (let i = first; i < first + width; i++) {
      const w = weight.values[i % channels];
      dWeight.values[i % channels] += g(i) * r[i] * scale;
      const dr = scale * w * g(i) - (r[i] * along * scale ** 3) / width;
      if (!z) {
        dx.values[i] = dr;
      } else if (attrs.normBeforeGate) {
        dx.values[i] = dr;
        dz.values[i] = dy.values[i] * r[i] * scale * w * siluSlope(z.values[i]);
      } else {
        dx.values[i] = dr * silu(z.values[i]);
        dz.values[i] = dr * x.values[i] * siluSlope(z.values[i]);
      }
    }
  }
  return {x: dx, weight: dWeight, ...(z && {z: dz})};
}
