/** The gated norm with SIMD, for `wasm`: custom-ops/wasm/gatedNorm.ts. */
import {mamba2} from '../../backends/wasm/binaries/mamba2';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {GatedRmsNormAttrs, GatedRmsNormGradInput, GatedRmsNormInput} from './kernels';
import {gatedRmsNormShape, gatedRmsNormGradShape} from './shapes';

const FLOAT = 4;
const DOUBLE = 8;

/** Rows of one group each, groups, channels of a group, and the other attributes. */
function settings(x: HeapOperand, {groups, normBeforeGate, epsilon}: GatedRmsNormAttrs): number[] {
  const size = x.shape.reduce((a, b) => a * b, 1);
  const width = x.shape[x.shape.length - 1] / groups;
  return [size / width, groups, width, Number(normBeforeGate), epsilon];
}

registerSimdKernel(mamba2, gatedRmsNormShape, (simd, inputs, [y], attrs: GatedRmsNormAttrs & PresentAttr) => {
  const {x, weight, z} = byName<GatedRmsNormInput, HeapOperand>(inputs, attrs.present);
  simd.functions.gatedRmsNorm(...offsets([x, weight, z, y]), ...settings(x!, attrs));
});

registerSimdKernel(
  mamba2,
  gatedRmsNormGradShape,
  (simd, inputs, [dx, dWeight, dz], attrs: GatedRmsNormAttrs & PresentAttr) => {
    const {x, weight, z, dy} = byName<GatedRmsNormGradInput, HeapOperand>(inputs, attrs.present);
    const [channels] = weight!.shape;
    simd.withScratch(channels * DOUBLE + (channels / attrs.groups) * FLOAT, (wide) => {
      const pointers = offsets([x, weight, z, dy, dx, dWeight, dz]);
      simd.functions.gatedRmsNormGrad(...pointers, wide, wide + channels * DOUBLE, ...settings(x!, attrs));
    });
  },
);
