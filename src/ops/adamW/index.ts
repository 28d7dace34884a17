/**
 * The step of the AdamW optimizer for all variables of a model at once, and the global gradient norm it is clipped by
 * (Loshchilov & Hutter 2019, arXiv 1711.05101; torch.optim.AdamW, torch.nn.utils.clip_grad_norm_).
 */
import * as tf from '@tensorflow/tfjs';
import {hasKernel} from '../../backends/engine';
import {writableZeros} from '../../backends/exclusive';
import {dispatchesAreCostly} from '../../backends/traits';
import {checkBoolean, checkKeys, checkShape, toTensor} from '../check';
import {checkAdamConstants, checkNumber} from './hyperparameters';
import type {AdamWAttrs, AdamWInputs} from './kernels';
import {clipScaleKernel, packFlatKernel, runAdamW, runGlobalNorm, unpackFlatKernel} from './kernels';

/** The arguments of {@link adamWUpdate}: lists of one tensor per variable, and the attributes of the step. */
export interface AdamWUpdateArgs extends Omit<AdamWInputs, 'gradScale'>, AdamWAttrs {
  /** The gradients are multiplied by this scalar; 1 if absent. */
  gradScale?: tf.Tensor;
}

/** What {@link adamWUpdate} returns: new tensors in the order of the variables. */
export interface AdamWUpdate {
  params: tf.Tensor[];
  firstMoments: tf.Tensor[];
  secondMoments: tf.Tensor[];
}

const OP = 'adamWUpdate';
const lists = ['params', 'grads', 'firstMoments', 'secondMoments'] as const;
const numbers = ['learningRate', 'beta1', 'beta2', 'epsilon', 'step', 'weightDecay'] as const;

/**
 * One step of AdamW with decoupled weight decay and bias-corrected moments, epsilon outside the root. One kernel call.
 *
 * @throws Error naming the argument whose length, shape, dtype or range is wrong.
 */
export function adamWUpdate(args: AdamWUpdateArgs): AdamWUpdate {
  checkUpdate(args);
  const {params, grads, firstMoments, secondMoments, learningRate, beta1, beta2, epsilon, step, weightDecay} = args;
  const {reuseMoments = false} = args;
  return tf.tidy('adamW', () => {
    const gradScale = args.gradScale ?? tf.scalar(1);
    const outputs = runAdamW(
      {params, grads, firstMoments, secondMoments, gradScale},
      {learningRate, beta1, beta2, epsilon, step, weightDecay, reuseMoments},
    );
    const list = (i: number) => outputs.slice(i * params.length, (i + 1) * params.length);
    return {params: list(0), firstMoments: list(1), secondMoments: list(2)};
  });
}

/** The moments of a variable before its first step, which `reuseMoments` can reuse. */
export function zeroMoment({shape}: tf.Tensor): tf.Tensor {
  return writableZeros(shape);
}

/**
 * The Euclidean norm of all elements of all tensors together, a scalar that stays on the device. Deterministic.
 *
 * @throws Error if the list is empty or something in it is no float32 tensor.
 */
export function globalNorm(tensors: tf.Tensor[]): tf.Scalar {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new Error('globalNorm: tensors must be a list of at least one tensor');
  }
  tensors.forEach((tensor, i) => toTensor('globalNorm', `tensors[${i}]`, tensor));
  const filled = tensors.filter(({size}) => size > 0); // WebGL has no texture for nothing
  return filled.length > 0 ? (runGlobalNorm(filled) as tf.Scalar) : tf.scalar(0);
}

/** Whether a step of many small variables is faster on flat tensors made of them. */
export function isFasterFlat(): boolean {
  return dispatchesAreCostly();
}

/** The elements of all tensors, one tensor after the other [size]. */
export function packFlat(tensors: readonly tf.Tensor[]): tf.Tensor {
  return packFlatKernel([...tensors], {})[0];
}

/** Tensors of these shapes from what {@link packFlat} gave. */
export function unpackFlat(flat: tf.Tensor, shapes: number[][]): tf.Tensor[] {
  return unpackFlatKernel([flat], {shapes});
}

/**
 * What gradients of norm `norm` are multiplied by so that it becomes at most `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as torch
 * clips. A scalar on the device. A norm that is NaN gives NaN, on every backend, so that a diverged step shows.
 */
export function clipScale(norm: tf.Scalar, maxNorm: number): tf.Scalar {
  checkNumber('clipScale', 'maxNorm', maxNorm, 'positive');
  if (hasKernel(clipScaleKernel.kernelName)) return clipScaleKernel([norm], {maxNorm})[0] as tf.Scalar;
  return tf.tidy(() => {
    const ratio = tf.div<tf.Scalar>(maxNorm, norm.add(1e-6));
    // Chosen by a comparison: tf.minimum(1, NaN) is 1 on wasm, and what it is on a GPU is not laid down.
    return tf.where(ratio.greater(1), tf.onesLike(ratio), ratio);
  });
}

function checkUpdate(args: AdamWUpdateArgs): void {
  checkKeys(OP, args, [...lists, ...numbers, 'gradScale', 'reuseMoments']);
  for (const name of lists) {
    if (!Array.isArray(args[name])) {
      throw new Error(`${OP}: ${name} must be a list of tensors`);
    }
  }
  const {params, weightDecay, gradScale} = args;
  if (params.length === 0) {
    throw new Error(`${OP}: params must not be empty`);
  }
  for (const name of [...lists, 'weightDecay'] as const) {
    const length = Array.isArray(args[name]) ? args[name].length : 'no list';
    if (length !== params.length) {
      throw new Error(`${OP}: ${name} must have an entry for each of the ${params.length} params, but has ${length}`);
    }
  }
  for (const name of lists) {
    args[name].forEach((tensor, i) => {
      checkShape(
        OP,
        `${name}[${i}]`,
        toTensor(OP, `${name}[${i}]`, tensor),
        params[i].shape,
        `the shape of params[${i}]`,
      );
    });
  }
  if (gradScale !== undefined) {
    checkShape(OP, 'gradScale', toTensor(OP, 'gradScale', gradScale), [], 'the shape of a scalar');
  }
  checkBoolean(OP, 'reuseMoments', args.reuseMoments ?? false);
  checkNumber(OP, 'learningRate', args.learningRate, 'nonNegative');
  checkAdamConstants(OP, args);
  checkNumber(OP, 'step', args.step, 'positiveCount');
  weightDecay.forEach((decay, i) => checkNumber(OP, `weightDecay[${i}]`, decay, 'nonNegative'));
}
