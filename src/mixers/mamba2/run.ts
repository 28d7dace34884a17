/**
 * The Mamba-2 mixer (Dao & Gu 2024, arXiv 2405.21060, figure 6; state-spaces `mamba2.py`, transformers `modeling_mamba2.py`): one
 * projection to all that is needed, short convolution of x, B and C together, state space dual, gated norm, projection.
 *
 *   B = batch              dModel = width of the input and the output
 *   L = length             E = dInner = H·P: H heads of P = headDim channels
 *   K = dConv              N = dState, states per channel          G = nGroups of heads that share B and C
 *
 *   Δ = step size, a number per head;  A, D = decay and skip, learned per head;  z = the gate
 */
import * as tf from '@tensorflow/tfjs';
import {causalConv1d} from '../../ops/causalConv1d';
import {causalConv1dUpdate} from '../../ops/causalConv1dUpdate';
import {gatedRmsNorm} from '../../ops/gatedRmsNorm';
import {ssd} from '../../ops/ssd';
import {keptWithin, softplus} from '../../ops/composedScalar';
import {documentsIn} from '../../ops/ssd/packed';
import {LARGEST} from '../../ops/ssd/stepSize';
import {ssdStep} from '../../ops/ssdStep';
import type {Padding} from '../masking';
import {convolvePadded, heldAt, zeroedAt} from '../masking';
import type {RunContext} from '../mixer';
import {linear} from '../weight';
import type {Mamba2Config} from './config';
import {convWidth, headCount} from './config';
import type {Mamba2Weights} from './weights';

/** What a mixer carries from one position, or one chunk, to the next. Plain values: whoever gets one disposes it. */
export type Mamba2State = {
  /** The last K-1 inputs of the convolution [B,K-1,E+2GN]. */
  conv: tf.Tensor3D;
  /** The state of the heads [B,H,P,N]. */
  ssm: tf.Tensor4D;
};

export function runMamba2(
  weights: Mamba2Weights,
  config: Mamba2Config,
  x: tf.Tensor3D, // [B,L,dModel]
  state?: Mamba2State,
  {padding, sequenceIds}: RunContext = {},
): {y: tf.Tensor3D; state: Mamba2State} {
  if (sequenceIds) documentsIn('ssd', sequenceIds); // read while the values are at hand; the convolution takes them to the GPU
  const {z, xBC, delta} = split(config, project(weights, 'inProj', zeroedAt(padding, x))); // [B,L,E], [B,L,E+2GN], [B,L,H]
  const conv = convolvePadded(padding, xBC as tf.Tensor3D, state?.conv, (given, initialState) =>
    causalConv1d({x: given, ...convolution(weights), initialState, sequenceIds}),
  );
  const dual = ssd({
    ...heads(config, conv.y), // u [B,L,H,P]; B, C [B,L,G,N]
    ...recurrence(weights, config),
    ...steps(weights, config, delta as tf.Tensor3D, padding),
    ...gateOfScan(config, z),
    initialState: state?.ssm,
    sequenceIds,
  });
  const y = finish(weights, config, dual.y.reshape(z.shape), z); // [B,L,dModel]
  return {y: y as tf.Tensor3D, state: {conv: conv.finalState, ssm: dual.finalState}};
}

export function stepMamba2(
  weights: Mamba2Weights,
  config: Mamba2Config,
  x: tf.Tensor2D, // [B,dModel]
  state: Mamba2State,
): {y: tf.Tensor2D; state: Mamba2State} {
  const {z, xBC, delta} = split(config, project(weights, 'inProj', x)); // [B,E], [B,E+2GN], [B,H]
  const conv = causalConv1dUpdate({x: xBC as tf.Tensor2D, state: state.conv, ...convolution(weights)});
  const dual = ssdStep({
    state: state.ssm,
    ...heads(config, conv.y), // u [B,H,P]; B, C [B,G,N]
    ...recurrence(weights, config),
    ...steps(weights, config, delta as tf.Tensor2D),
    ...gateOfScan(config, z),
  });
  const y = finish(weights, config, dual.y.reshape(z.shape), z); // [B,dModel]
  return {y: y as tf.Tensor2D, state: {conv: conv.state, ssm: dual.state}};
}

/** Δ of a sequence x [B,L,dModel], behind its softplus and within its limits [B,L,H]: how much of a position enters the state. */
export function stepSizesMamba2(weights: Mamba2Weights, config: Mamba2Config, x: tf.Tensor3D): tf.Tensor3D {
  const [least, most] = config.dtLimit;
  const {delta} = split(config, project(weights, 'inProj', x));
  return keptWithin(softplus(delta.add(weights.dtBias)) as tf.Tensor3D, least, Math.min(most, LARGEST));
}

function project(weights: Mamba2Weights, name: 'inProj' | 'outProj', x: tf.Tensor): tf.Tensor {
  return linear({x, weight: weights[`${name}/kernel`], bias: weights[`${name}/bias`]});
}

function split(config: Mamba2Config, projected: tf.Tensor): Record<'z' | 'xBC' | 'delta', tf.Tensor> {
  const [z, xBC, delta] = tf.split(projected, [config.dInner, convWidth(config), headCount(config)], -1);
  return {z, xBC, delta};
}

function convolution(weights: Mamba2Weights) {
  return {
    weight: weights['conv/weight'] as tf.Tensor2D, // [E+2GN,K]
    bias: weights['conv/bias'] as tf.Tensor1D | undefined, // [E+2GN]
    activation: 'silu' as const,
  };
}

/** [...,E+2GN] → u [...,H,P] and B, C [...,G,N] */
function heads(config: Mamba2Config, convolved: tf.Tensor) {
  const {dInner, headDim, nGroups, dState} = config;
  const lead = convolved.shape.slice(0, -1);
  const [u, B, C] = tf.split(convolved, [dInner, nGroups * dState, nGroups * dState], -1);
  const grouped = (projection: tf.Tensor) => projection.reshape([...lead, nGroups, dState]);
  return {u: u.reshape<never>([...lead, headCount(config), headDim]), B: grouped(B), C: grouped(C)};
}

function recurrence(weights: Mamba2Weights, config: Mamba2Config) {
  const {dHasHeadDim, headDim} = config;
  return {
    A: weights.ALog.exp().neg() as tf.Tensor1D, // [H]
    D: dHasHeadDim ? weights.D.reshape([headCount(config), headDim]) : weights.D, // [H,P] or [H]
  };
}

/** The step size, and how it is made of the projected Δ [...,H]. At padding it is 0, so that the state is held there. */
function steps<T extends tf.Tensor>(weights: Mamba2Weights, {dtLimit}: Mamba2Config, delta: T, padding?: Padding) {
  const [least, most] = dtLimit;
  if (padding && least > 0) {
    // The limits would lift a step of 0, so they come first.
    const limited = limitedTo(least, Math.min(most, LARGEST), tf.softplus(delta.add(weights.dtBias)));
    return {delta: limited.mul<T>(padding.mask)};
  }
  return {
    delta: heldAt(padding, delta),
    deltaBias: weights.dtBias as tf.Tensor1D, // [H]
    deltaSoftplus: true,
    ...((least > 0 || most < Infinity) && {deltaLimit: dtLimit}),
  };
}

/** The gradient is that of torch's clamp, which passes at the limits and stops outside. */
function limitedTo(least: number, most: number, step: tf.Tensor): tf.Tensor {
  const limit = tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([x as tf.Tensor]);
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
      const outside = saved.less(least).logicalOr(saved.greater(most));
      return tf.where(outside, tf.zerosLike(dy), dy);
    };
    return {value: keptWithin(x as tf.Tensor, least, most), gradFunc};
  });
  return limit(step);
}

/** Without the gated norm the gate is the scan's own. */
function gateOfScan({gatedNorm, dInner, headDim}: Mamba2Config, z: tf.Tensor) {
  return gatedNorm ? {} : {z: z.reshape<never>([...z.shape.slice(0, -1), dInner / headDim, headDim])};
}

/** Norm, gate and projection of y [...,E]. */
function finish(weights: Mamba2Weights, config: Mamba2Config, y: tf.Tensor, z: tf.Tensor): tf.Tensor {
  const {gatedNorm, normBeforeGate, normGroups, epsilon} = config;
  const weight = weights['norm/weight'] as tf.Tensor1D;
  const gated = gatedNorm ? gatedRmsNorm({x: y, z, weight, groups: normGroups, normBeforeGate, epsilon}) : y;
  return project(weights, 'outProj', gated);
}
