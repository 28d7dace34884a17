/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: the norm, with the sum where there is a residual; the gradients. */
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';

export const rmsNormShape: KernelShape = {kernelName: 'RmsNorm', outputs: shapesOfInputs(['x', 'residual'])};
export const rmsNormGradShape: KernelShape = {kernelName: 'RmsNormGrad', outputs: shapesOfInputs(['r', 'weight'])};
