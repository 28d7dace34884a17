/** The gated norm made of TensorFlow.js ops, for a backend without a kernel of its own. */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {GatedRmsNormAttrs, GatedRmsNormGradInput, GatedRmsNormInput} from './kernels';
import {runGatedRmsNorm, runGatedRmsNormGrad} from './kernels';

type Inputs = Record<'x' | 'weight', tf.Tensor> & {[K in GatedRmsNormInput]?: tf.Tensor};
type GradInputs = Record<'x' | 'weight' | 'dy', tf.Tensor> & {[K in GatedRmsNormGradInput]?: tf.Tensor};

/** The rows of the groups, [-1,G,D/G]. */
const toGroups = (x: tf.Tensor, weight: tf.Tensor, groups: number) => x.reshape([-1, groups, weight.size / groups]);

/** 1/√(mean r² + ε), [-1,G,1] */
const inverse = (r: tf.Tensor, epsilon: number) => r.square().mean(-1, true).add(epsilon).rsqrt();

export function gatedRmsNormComposed(
  {x, weight, z}: Inputs,
  {groups, normBeforeGate, epsilon}: GatedRmsNormAttrs,
): tf.Tensor[] {
  const gate = z?.mul(z.sigmoid());
  const r = toGroups(gate && !normBeforeGate ? x.mul(gate) : x, weight, groups);
  const y = r.mul(inverse(r, epsilon)).reshape(x.shape).mul(weight);
  return [gate && normBeforeGate ? y.mul(gate) : y];
}

export function gatedRmsNormGradComposed(
  {x, weight, z, dy}: GradInputs,
  {groups, normBeforeGate, epsilon}: GatedRmsNormAttrs,
): tf.Tensor[] {
  const sigmoid = z?.sigmoid();
  const gate = sigmoid && z!.mul(sigmoid);
  const slope = sigmoid?.mul(z!.mul(tf.sub(1, sigmoid)).add(1));
  const r = toGroups(gate && !normBeforeGate ? x.mul(gate) : x, weight, groups);
  const inv = inverse(r, epsilon);
  const normal = r.mul(inv);
  const flat = normal.reshape(x.shape);
  const g = gate && normBeforeGate ? dy.mul(gate) : dy;
  const weighted = toGroups(g.mul(weight), weight, groups);
  const dr = weighted
    .sub(normal.mul(weighted.mul(normal).mean(-1, true)))
    .mul(inv)
    .reshape(x.shape);
  const dWeight = g.mul(flat).reshape([-1, weight.size]).sum(0);
  if (!gate) {
    return [dr, dWeight];
  }
  return normBeforeGate
    ? [dr, dWeight, dy.mul(flat).mul(weight).mul(slope!)]
    : [dr.mul(gate), dWeight, dr.mul(x).mul(slope!)];
}

offerComposed(runGatedRmsNorm, gatedRmsNormComposed);
offerComposed(runGatedRmsNormGrad, gatedRmsNormGradComposed);
