/** The kernel of one step of the causal convolution: inputs in order, attributes. */
import {defineKernel} from '../kernel';
import type {ConvAttrs} from '../causalConv1d/kernels';

export type ConvUpdateInput = 'x' | 'state' | 'weight' | 'bias';

export const convUpdateInputs = ['x', 'state', 'weight', 'bias'] as const;

/** y [B,D] and the new state [B,K-1,D]. */
export const runCausalConv1dUpdate = defineKernel<ConvUpdateInput, ConvAttrs>({
  kernelName: 'CausalConv1dUpdate',
  order: convUpdateInputs,
});
