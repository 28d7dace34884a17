/** AdamW and the global norm with SIMD, for `wasm`: custom-ops/wasm/optimizer.ts. */
import {lm} from '../../backends/wasm/binaries/lm';
import {registerSimdKernel} from '../../backends/wasm/simd';
import type {AdamWAttrs} from './kernels';
import {adamWShape, globalNormShape} from './shapes';

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

registerSimdKernel(lm, adamWShape, (simd, inputs, outputs, attrs: AdamWAttrs) => {
  const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs;
  const count = weightDecay.length;
  const gradScale = inputs[4 * count].at;
  const stepSize = learningRate / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  weightDecay.forEach((decay, i) => {
    const pointers = [0, 1, 2, 3].map((list) => inputs[list * count + i].at);
    const results = [0, 1, 2].map((list) => outputs[list * count + i].at);
    const constants = [beta1, 1 - beta1, beta2, 1 - beta2, 1 - learningRate * decay, stepSize, correction, epsilon];
    simd.functions.adamW(...pointers, ...results, gradScale, sizeOf(inputs[i].shape), ...constants);
  });
});

registerSimdKernel(lm, globalNormShape, (simd, inputs, [norm]) => {
  const squares = inputs.reduce((sum, {at, shape}) => sum + simd.functions.sumSquares(at, sizeOf(shape)), 0);
  simd.functions.storeFloat(norm.at, Math.sqrt(squares));
});
