/** The two kernels of the root-mean-square norm: inputs in order, attributes. */
import {defineKernel} from '../kernel';

export type RmsNormInput = 'x' | 'weight' | 'residual';
export type RmsNormGradInput = 'r' | 'weight' | 'dy' | 'dResidual';

export interface RmsNormAttrs {
  epsilon: number;
  /** Whether x is to be an output where there is no residual, if the backend can. */
  passes?: boolean;
}

export const rmsNormInputs = ['x', 'weight', 'residual'] as const;

/** y and, if a residual goes in, x + residual; or x. */
export const runRmsNorm = defineKernel<RmsNormInput, RmsNormAttrs>({
  kernelName: 'RmsNorm',
  order: rmsNormInputs,
});

/** The gradients of r, which is x or x + residual, and of the weight. */
export const runRmsNormGrad = defineKernel<RmsNormGradInput, RmsNormAttrs>({
  kernelName: 'RmsNormGrad',
  order: ['r', 'weight', 'dy', 'dResidual'],
});
