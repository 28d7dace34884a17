/** The two kernels of the causal convolution: inputs in order, attributes. */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import {defineKernel} from '../kernel';

/** What is applied to the convolution's result: nothing, or silu. */
export type ConvActivation = 'linear' | 'silu';
export type ConvInput = 'x' | 'weight' | 'bias' | 'initialState';
/** `sequenceIds`, int32 [B,L]: the window starts anew wherever the id changes. They have no gradient. */
export type ConvKernelInput = ConvInput | 'sequenceIds';
export type ConvGradInput = ConvKernelInput | 'dy' | 'dFinalState';

export type ConvInputs = Record<'x' | 'weight', tf.Tensor> & Named<'bias' | 'initialState' | 'sequenceIds', tf.Tensor>;

export interface ConvAttrs {
  activation: ConvActivation;
}

/** The inputs that have a gradient. */
export const convInputs = ['x', 'weight', 'bias', 'initialState'] as const;
export const convActivations = ['linear', 'silu'] as const;

/** y [B,L,D] and finalState [B,K-1,D]. */
export const runCausalConv1d = defineKernel<ConvKernelInput, ConvAttrs>({
  kernelName: 'CausalConv1d',
  order: [...convInputs, 'sequenceIds'],
});

/** The gradients of the inputs that are present, in the order of `convInputs`. */
export const runCausalConv1dGrad = defineKernel<ConvGradInput, ConvAttrs>({
  kernelName: 'CausalConv1dGrad',
  order: [...convInputs, 'dy', 'dFinalState', 'sequenceIds'],
});
