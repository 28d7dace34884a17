/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: the norm; the gradients. */
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';
import {gatedRmsNormInputs} from './kernels';

export const gatedRmsNormShape: KernelShape = {kernelName: 'GatedRmsNorm', outputs: shapesOfInputs(['x'])};
export const gatedRmsNormGradShape: KernelShape = {
  kernelName: 'GatedRmsNormGrad',
  outputs: shapesOfInputs(gatedRmsNormInputs),
};
