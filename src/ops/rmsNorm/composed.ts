/** The norm made of TensorFlow.js ops, for a backend without a kernel of its own. */
import type * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {RmsNormAttrs, RmsNormGradInput, RmsNormInput} from './kernels';
import {runRmsNorm, runRmsNormGrad} from './kernels';

/** 1/√(mean r² + ε), [...,1] */
function inverse(r: tf.Tensor, epsilon: number): tf.Tensor {
  return r.square().mean(-1, true).add(epsilon).rsqrt();
}

export function rmsNormComposed(
  {x, weight, residual}: Record<Exclude<RmsNormInput, 'residual'>, tf.Tensor> & {residual?: tf.Tensor},
  {epsilon}: RmsNormAttrs,
): tf.Tensor[] {
  const r = residual ? x.add(residual) : x;
  const y = r.mul(inverse(r, epsilon)).mul(weight);
  return residual ? [y, r] : [y];
}

export function rmsNormGradComposed(
  {r, weight, dy, dResidual}: Record<Exclude<RmsNormGradInput, 'dResidual'>, tf.Tensor> & {dResidual?: tf.Tensor},
  {epsilon}: RmsNormAttrs,
): tf.Tensor[] {
  const inv = inverse(r, epsilon);
  const normal = r.mul(inv);
  const weighted = dy.mul(weight);
  const dr = weighted.sub(normal.mul(weighted.mul(normal).mean(-1, true))).mul(inv);
  const dWeight = dy.mul(normal).reshape([-1, weight.size]).sum(0);
  return [dResidual ? dr.add(dResidual) : dr, dWeight];
}

offerComposed(runRmsNorm, rmsNormComposed);
offerComposed(runRmsNormGrad, rmsNormGradComposed);
