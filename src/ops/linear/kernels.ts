/** The two kernels of a linear map: inputs in order, attributes. */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import {defineKernel} from '../kernel';

export type LinearInput = 'x' | 'kernel' | 'bias';
export type LinearGradInput = LinearInput | 'dy';
export type LinearInputs = Record<'x' | 'kernel', tf.Tensor> & Named<'bias', tf.Tensor>;

export interface LinearAttrs {
  /** Whether the kernel is [out,in], as an embedding that serves as head is, and not [in,out]. */
  transposeKernel: boolean;
}

/** y [R,out] from x [R,in]. */
export const runLinear = defineKernel<LinearInput, LinearAttrs>({
  kernelName: 'Linear',
  order: ['x', 'kernel', 'bias'],
});

/** The gradients of the inputs that are present. */
export const runLinearGrad = defineKernel<LinearGradInput, LinearAttrs>({
  kernelName: 'LinearGrad',
  order: ['x', 'kernel', 'bias', 'dy'],
});
