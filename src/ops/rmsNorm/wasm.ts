/** The norm with SIMD, for `wasm`: custom-ops/wasm/norm.ts. */
import {shared} from '../../backends/wasm/binaries/shared';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {RmsNormAttrs, RmsNormGradInput, RmsNormInput} from './kernels';
import {rmsNormShape, rmsNormGradShape} from './shapes';

const DOUBLE = 8;

/** Rows and channels. */
function sizes({shape}: HeapOperand): [number, number] {
  return [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape[shape.length - 1]];
}

registerSimdKernel(shared, rmsNormShape, (simd, inputs, [y, sum], {present, epsilon}: RmsNormAttrs & PresentAttr) => {
  const {x, weight, residual} = byName<RmsNormInput, HeapOperand>(inputs, present);
  simd.functions.rmsNorm(...offsets([x, weight, residual, y, sum]), ...sizes(x!), epsilon);
});

registerSimdKernel(
  shared,
  rmsNormGradShape,
  (simd, inputs, outputs, {present, epsilon}: RmsNormAttrs & PresentAttr) => {
    const {r, weight, dy, dResidual} = byName<RmsNormGradInput, HeapOperand>(inputs, present);
    const [rows, channels] = sizes(r!);
    simd.withScratch(channels * DOUBLE, (wide) => {
      simd.functions.rmsNormGrad(...offsets([r, weight, dy, dResidual, ...outputs]), wide, rows, channels, epsilon);
    });
  },
);
