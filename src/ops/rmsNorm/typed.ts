/** The norm over typed arrays, for `cpu` and `wasm`: two passes over each row, sums in float64. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {RmsNormAttrs, RmsNormGradInput, RmsNormInput} from './kernels';
import {rmsNormShape, rmsNormGradShape} from './shapes';

type Operands = Record<'x' | 'weight', Operand> & {[K in RmsNormInput]?: Operand};
type GradOperands = Record<'r' | 'weight' | 'dy', Operand> & {[K in RmsNormGradInput]?: Operand};

/** 1/√(mean r² + ε) of the row that starts at `at`. */
function inverse(r: Float32Array, at: number, channels: number, epsilon: number): number {
  let squares = 0;
  for (let i = at; i < at + channels; i++) {
    squares += r[i] * r[i];
  }
  return 1 / Math.sqrt(squares / channels + epsilon);
}

function forward({x, weight, residual}: Operands, [y, sum]: Operand[], epsilon: number): void {
  const channels = weight.values.length;
  const r = residual ? sum.values : x.values;
  if (residual) {
    for (let i = 0; i < r.length; i++) {
      r[i] = x.values[i] + residual.values[i];
    }
  }
  for (let at = 0; at < r.length; at += channels) {
    const scale = inverse(r, at, channels, epsilon);
    for (let d = 0; d < channels; d++) {
      y.values[at + d] = r[at + d] * scale * weight.values[d];
    }
  }
}

function backward(
  {r: {values: r}, weight, dy, dResidual}: GradOperands,
  [dr, dWeight]: Operand[],
  epsilon: number,
): void {
  const channels = weight.values.length;
  const weightSums = new Float64Array(channels);
  for (let at = 0; at < r.length; at += channels) {
    const scale = inverse(r, at, channels, epsilon);
    let along = 0; // Σ weight·dy·r
    for (let d = 0; d < channels; d++) {
      const g = dy.values[at + d] * r[at + d];
      along += weight.values[d] * g;
      weightSums[d] += g * scale;
    }
    const pull = (along * scale * scale * scale) / channels;
    for (let d = 0; d < channels; d++) {
      const through = dResidual ? dResidual.values[at + d] : 0;
      dr.values[at + d] = scale * weight.values[d] * dy.values[at + d] - r[at + d] * pull + through;
    }
  }
  dWeight.values.set(weightSums);
}

registerTypedArrayKernel({
  ...rmsNormShape,
  compute: (inputs, outputs, {present, epsilon}: RmsNormAttrs & PresentAttr) =>
    forward(byName(inputs, present) as Operands, outputs, epsilon),
});

registerTypedArrayKernel({
  ...rmsNormGradShape,
  compute: (inputs, outputs, {present, epsilon}: RmsNormAttrs & PresentAttr) =>
    backward(byName(inputs, present) as GradOperands, outputs, epsilon),
});
