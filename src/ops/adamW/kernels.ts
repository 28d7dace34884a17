/**
 * The kernels of an optimizer's step: what goes in, in which order, and with which attributes. Every backend's file in this
 * folder implements these.
 *
 * Both take the tensors of *all* variables in one call. A model has many small weights: op by op, a step on fifty of them costs
 * more in dispatch than in arithmetic.
 *
 * AdamW takes, for P variables, P params, P grads, P first moments, P second moments and, last and always present, the scalar
 * `gradScale`: 4·P + 1 float32 tensors. It gives P new params, P new first moments, P new second moments, and changes nothing in
 * place; with `reuseMoments` a backend may write the new moments where the old ones are. With g = grad · gradScale:
 *
 *     p ← p − learningRate · weightDecay · p
 *     m ← beta1 · m + (1 − beta1) · g            v ← beta2 · v + (1 − beta2) · g²
 *     p ← p − learningRate / (1 − beta1^step) · m / (√v / √(1 − beta2^step) + epsilon)
 *
 * `gradScale` is a tensor because clipping by the global norm makes it on the device, where nobody may wait for it. `learningRate`
 * and `step` differ in every call: a backend that compiles or caches by attribute value must hand them over as data.
 *
 * GlobalNorm takes any number of float32 tensors and gives one scalar, the Euclidean norm of all their elements together.
 *
 * PackFlat takes any number of float32 tensors and gives one of rank 1 with all their elements, one tensor after the other; UnpackFlat
 * takes such a tensor and gives those of the attribute `shapes`.
 *
 * ClipScale takes the scalar norm and gives what gradients are multiplied by so that it becomes at most the attribute `maxNorm`: a backend
 * has it where it is cheaper than five ops of TensorFlow.js, with three scalars to upload.
 *
 * None of them is differentiable.
 */
import type * as tf from '@tensorflow/tfjs';
import {defineListKernel} from '../kernel';

export interface AdamWAttrs {
  learningRate: number;
  /** Decay of the first moments, the running mean of the gradient. */
  beta1: number;
  /** Decay of the second moments, the running mean of its square. */
  beta2: number;
  /** Added to the root of the second moment. */
  epsilon: number;
  /** Which update of these variables this is, counted from 1. */
  step: number;
  /** One per variable; 0 for none. */
  weightDecay: number[];
  /** Whether nobody will ask for the old moments any more, so that the new ones may be written in their place. */
  reuseMoments?: boolean;
}

/** Each list in the order of the variables. */
export interface AdamWInputs {
  params: tf.Tensor[];
  grads: tf.Tensor[];
  firstMoments: tf.Tensor[];
  secondMoments: tf.Tensor[];
  gradScale: tf.Tensor;
}

export const adamWKernel = defineListKernel<AdamWAttrs>('AdamW');
export const globalNormKernel = defineListKernel<object>('GlobalNorm');
export const packFlatKernel = defineListKernel<object>('PackFlat');

export interface ClipScaleAttrs {
  maxNorm: number;
}

export const clipScaleKernel = defineListKernel<ClipScaleAttrs>('ClipScale');

export interface UnpackFlatAttrs {
  shapes: number[][];
}

export const unpackFlatKernel = defineListKernel<UnpackFlatAttrs>('UnpackFlat');

/** Runs AdamW and returns its outputs in order. */
export function runAdamW(inputs: AdamWInputs, attrs: AdamWAttrs): tf.Tensor[] {
  const {params, grads, firstMoments, secondMoments, gradScale} = inputs;
  return adamWKernel([...params, ...grads, ...firstMoments, ...secondMoments, gradScale], attrs);
}

/** Runs GlobalNorm. */
export function runGlobalNorm(tensors: tf.Tensor[]): tf.Tensor {
  return globalNormKernel(tensors, {})[0];
}
