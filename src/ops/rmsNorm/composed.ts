/** The norm made of TensorFlow.js ops, for a backend without a kernel of its own. */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {RmsNormAttrs, RmsNormGradInput, RmsNormInput} from './kernels';
import {runRmsNorm, runRmsNormGrad} from './kernels';

const LARGE = 2 ** 80;

/**
 * r and 1/√(mean r² + ε) [...,1]; where the squares would leave float32, both of a row times a power of two, which is the third tensor.
 */
function scaledRows(r: tf.Tensor, epsilon: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const largest = r.abs().max(-1, true);
  let factor: tf.Tensor = tf.where(largest.greater(1e15), 1 / LARGE, tf.onesLike(largest));
  if (epsilon < 1e-30) factor = tf.where(largest.less(1e-15), LARGE, factor);
  const scaled = r.mul(factor);
  return [scaled, scaled.square().mean(-1, true).add(factor.mul(epsilon).mul(factor)).rsqrt(), factor];
}

export function rmsNormComposed(
  {x, weight, residual}: Record<Exclude<RmsNormInput, 'residual'>, tf.Tensor> & {residual?: tf.Tensor},
  {epsilon}: RmsNormAttrs,
): tf.Tensor[] {
  const r = residual ? x.add(residual) : x;
  const [scaled, inverse] = scaledRows(r, epsilon);
  const y = scaled.mul(inverse).mul(weight);
  return residual ? [y, r] : [y];
}

export function rmsNormGradComposed(
  {r, weight, dy, dResidual}: Record<Exclude<RmsNormGradInput, 'dResidual'>, tf.Tensor> & {dResidual?: tf.Tensor},
  {epsilon}: RmsNormAttrs,
): tf.Tensor[] {
  const [scaled, inverse, factor] = scaledRows(r, epsilon);
  const normal = scaled.mul(inverse);
  const weighted = dy.mul(weight);
  const dr = weighted
    .sub(normal.mul(weighted.mul(normal).mean(-1, true)))
    .mul(inverse)
    .mul(factor);
  const dWeight = dy.mul(normal).reshape([-1, weight.size]).sum(0);
  return [dResidual ? dr.add(dResidual) : dr, dWeight];
}

offerComposed(runRmsNorm, rmsNormComposed);
offerComposed(runRmsNormGrad, rmsNormGradComposed);
