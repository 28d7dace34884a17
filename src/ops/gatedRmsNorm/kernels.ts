/** The two kernels of the gated root-mean-square norm: inputs in order, attributes. */
import {defineKernel} from '../kernel';

export type GatedRmsNormInput = 'x' | 'weight' | 'z';
export type GatedRmsNormGradInput = GatedRmsNormInput | 'dy';

export interface GatedRmsNormAttrs {
  /** The last axis is cut into so many groups of neighbours, each with a mean of its own. */
  groups: number;
  normBeforeGate: boolean;
  epsilon: number;
}

export const gatedRmsNormInputs = ['x', 'weight', 'z'] as const;

/** y, of x's shape. `x`, `z`: [...,D]; `weight`: [D]. */
export const runGatedRmsNorm = defineKernel<GatedRmsNormInput, GatedRmsNormAttrs>({
  kernelName: 'GatedRmsNorm',
  order: gatedRmsNormInputs,
});

/** The gradients of the inputs that are present, in the order of `gatedRmsNormInputs`. */
export const runGatedRmsNormGrad = defineKernel<GatedRmsNormGradInput, GatedRmsNormAttrs>({
  kernelName: 'GatedRmsNormGrad',
  order: [...gatedRmsNormInputs, 'dy'],
});
