/** The cross entropy with SIMD, for `wasm`: custom-ops/wasm/loss.ts. */
import {lm} from '../../backends/wasm/binaries/lm';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {CrossEntropyAttrs} from './kernels';
import {crossEntropyShape, crossEntropyGradShape} from './shapes';

registerSimdKernel(lm, crossEntropyShape, (simd, inputs, outputs, {ignoreIndex}: CrossEntropyAttrs) => {
  simd.functions.crossEntropy(...offsets([...inputs, ...outputs]), ...inputs[0].shape, ignoreIndex);
});

registerSimdKernel(lm, crossEntropyGradShape, (simd, inputs, outputs, {ignoreIndex}: CrossEntropyAttrs) => {
  simd.functions.crossEntropyGrad(...offsets([...inputs, ...outputs]), ...inputs[0].shape, ignoreIndex);
});
