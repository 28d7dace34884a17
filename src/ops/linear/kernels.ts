/** The two kernels of a linear map: inputs in order, attributes. */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import {defineKernel} from '../kernel';

export type LinearInput = 'x' | 'kernel' | 'bias';
export type LinearGradInput = LinearInput | 'dy' | 'dy1' | 'dy2' | 'passed';
export type LinearInputs = Record<'x' | 'kernel', tf.Tensor> & Named<'bias', tf.Tensor>;

export interface LinearAttrs {
  /** Whether the kernel is [out,in], as an embedding that serves as head is, and not [in,out]. */
  transposeKernel: boolean;
  /** The widths of the two or three parts that y may come in, if the backend can. */
  sizes?: number[];
  /** Whether x may be an output behind those parts, so that the gradient of who reads that is part of the same sum. */
  passes?: boolean;
}

/** y [R,out] from x [R,in]; or its parts [R,size], and x if it passes. */
export const runLinear = defineKernel<LinearInput, LinearAttrs>({
  kernelName: 'Linear',
  order: ['x', 'kernel', 'bias'],
});

/** The gradients of the inputs that are present, for those of y or of its parts, and of the x that passed. */
export const runLinearGrad = defineKernel<LinearGradInput, LinearAttrs>({
  kernelName: 'LinearGrad',
  order: ['x', 'kernel', 'bias', 'dy', 'dy1', 'dy2', 'passed'],
});
