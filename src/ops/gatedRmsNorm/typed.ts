/** The gated norm over typed arrays, for `cpu` and `wasm`: two passes over each group of a row, sums in float64. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid, siluSlope} from '../scalar';
import type {GatedRmsNormAttrs, GatedRmsNormGradInput, GatedRmsNormInput} from './kernels';
import {gatedRmsNormInputs} from './kernels';
import {gatedRmsNormShape, gatedRmsNormGradShape} from './shapes';

type Operands = Record<'x' | 'weight', Operand> & {[K in GatedRmsNormGradInput]?: Operand};

/** A row of a group while it is worked on: what is normed, and the gate, which is 1 where there is none. */
function scratch(width: number) {
  return {r: new Float64Array(width), gate: new Float64Array(width).fill(1)};
}

/** Fills in the row that starts at `at`; 1/√(mean r² + ε). */
function enter(
  {x, z}: Operands,
  {r, gate}: ReturnType<typeof scratch>,
  at: number,
  {normBeforeGate, epsilon}: GatedRmsNormAttrs,
): number {
  const width = r.length;
  let squares = 0;
  for (let i = 0; i < width; i++) {
    if (z) {
      gate[i] = z.values[at + i] * sigmoid(z.values[at + i]);
    }
    r[i] = normBeforeGate ? x.values[at + i] : x.values[at + i] * gate[i];
    squares += r[i] * r[i];
  }
  return 1 / Math.sqrt(squares / width + epsilon);
}

function forward(inputs: Operands, [y]: Operand[], attrs: GatedRmsNormAttrs): void {
  const weight = inputs.weight.values;
  const channels = weight.length;
  const width = channels / attrs.groups;
  const space = scratch(width);
  for (let at = 0; at < y.values.length; at += width) {
    const scale = enter(inputs, space, at, attrs);
    for (let i = 0, d = at % channels; i < width; i++, d++) {
      const normal = space.r[i] * scale * weight[d];
      y.values[at + i] = attrs.normBeforeGate ? normal * space.gate[i] : normal;
    }
  }
}

function backward(inputs: Operands, gradients: {[K in GatedRmsNormInput]?: Operand}, attrs: GatedRmsNormAttrs): void {
  const {x, z, dy} = inputs as Operands & Record<'dy', Operand>;
  const weight = inputs.weight.values;
  const channels = weight.length;
  const width = channels / attrs.groups;
  const space = scratch(width);
  const {r, gate} = space;
  const weightSums = new Float64Array(channels);
  for (let at = 0; at < x.values.length; at += width) {
    const scale = enter(inputs, space, at, attrs);
    const first = at % channels;
    let along = 0; // Σ weight·g·r, where g is the gradient of r·scale·weight
    for (let i = 0; i < width; i++) {
      const g = (attrs.normBeforeGate ? gate[i] : 1) * dy.values[at + i] * r[i];
      along += weight[first + i] * g;
      weightSums[first + i] += g * scale;
    }
    const pull = (along * scale * scale * scale) / width;
    for (let i = 0; i < width; i++) {
      const g = dy.values[at + i] * weight[first + i] * scale;
      if (attrs.normBeforeGate) {
        gradients.x!.values[at + i] = g * gate[i] - r[i] * pull;
        if (z) {
          gradients.z!.values[at + i] = g * r[i] * siluSlope(z.values[at + i]);
        }
      } else {
        const dr = g - r[i] * pull;
        gradients.x!.values[at + i] = dr * gate[i];
        if (z) {
          gradients.z!.values[at + i] = dr * x.values[at + i] * siluSlope(z.values[at + i]);
        }
      }
    }
  }
  gradients.weight!.values.set(weightSums);
}

registerTypedArrayKernel({
  ...gatedRmsNormShape,
  compute: (inputs, outputs, attrs: GatedRmsNormAttrs & PresentAttr) =>
    forward(byName(inputs, attrs.present) as Operands, outputs, attrs),
});

registerTypedArrayKernel({
  ...gatedRmsNormGradShape,
  compute: (inputs, outputs, attrs: GatedRmsNormAttrs & PresentAttr) =>
    backward(
      byName(inputs, attrs.present) as Operands,
      byName(
        outputs,
        gatedRmsNormInputs.filter((name) => attrs.present.includes(name)),
      ),
      attrs,
    ),
});
