/**
 * The Mamba-1 mixer (Gu & Dao 2023, figure 3 and algorithm 2; state-spaces `mamba_simple.py`): projection, short convolution,
 * selective scan, gate, projection. With `mixerEpsilon` it is FalconMamba's (transformers `modeling_falcon_mamba.py`).
 *
 *   B = batch              dModel = width of the input and the output
 *   L = length             E = dInner, channels of the convolution and the scan
 *   K = dConv              N = dState, states per channel          R = dtRank
 *
 *   Δ, B, C   step size and projections in and out of the state, functions of the input: the selection
 *   A, D      decay and skip, learned per channel;  z = the gate
 */
import * as tf from '@tensorflow/tfjs';
import {causalConv1d} from '../../ops/causalConv1d';
import {causalConv1dUpdate} from '../../ops/causalConv1dUpdate';
import {softplus} from '../../ops/composedScalar';
import {rmsNorm} from '../../ops/rmsNorm';
import {scanOfLog} from '../../ops/selectiveScan';
import {selectiveStateUpdate} from '../../ops/selectiveStateUpdate';
import {convolvePadded, heldAt, zeroedAt} from '../masking';
import type {RunContext} from '../mixer';
import {linear, linearInParts} from '../weight';
import type {MixerConfig} from './config';
import type {Mamba1Weights} from './weights';

/** What a mixer carries from one position, or one chunk, to the next. Plain values: whoever gets one disposes it. */
export type LayerState = {
  /** The last K-1 inputs of the convolution [B,K-1,dInner]. */
  conv: tf.Tensor3D;
  /** The state of the scan [B,dInner,N]. */
  ssm: tf.Tensor3D;
};

export function runMamba1(
  weights: Mamba1Weights,
  config: MixerConfig,
  x: tf.Tensor3D, // [B,L,dModel]
  state?: LayerState,
  {padding, sequenceIds}: RunContext = {},
): {y: tf.Tensor3D; state: LayerState} {
  const [xs, z] = split(weights, config, zeroedAt(padding, x)); // [B,L,E] each
  const conv = convolvePadded(padding, xs as tf.Tensor3D, state?.conv, (given, initialState) =>
    causalConv1d({x: given, ...convolution(weights), initialState, sequenceIds}),
  );
  const {u, delta, B, C} = select(weights, config, conv.y); // [B,L,E], [B,L,E], [B,L,N], [B,L,N]
  const scan = scanOfLog({
    u: u as tf.Tensor3D,
    delta: heldAt(padding, delta as tf.Tensor3D),
    B,
    C,
    ...recurrence(weights),
    z: z as tf.Tensor3D,
    initialState: state?.ssm,
    sequenceIds,
  });
  const y = project(weights, scan.y) as tf.Tensor3D; // [B,L,dModel]
  return {y, state: {conv: conv.finalState, ssm: scan.finalState}};
}

export function stepMamba1(
  weights: Mamba1Weights,
  config: MixerConfig,
  x: tf.Tensor2D, // [B,dModel]
  state: LayerState,
): {y: tf.Tensor2D; state: LayerState} {
  const [xs, z] = split(weights, config, x); // [B,E] each
  const conv = causalConv1dUpdate({x: xs as tf.Tensor2D, state: state.conv, ...convolution(weights)});
  const {u, delta, B, C} = select(weights, config, conv.y); // [B,E], [B,E], [B,N], [B,N]
  const scan = selectiveStateUpdate({
    state: state.ssm,
    u: u as tf.Tensor2D,
    delta: delta as tf.Tensor2D,
    B,
    C,
    ...recurrence(weights),
    A: weights.ALog.exp().neg() as tf.Tensor2D, // [E,N]
    z: z as tf.Tensor2D,
  });
  const y = project(weights, scan.y) as tf.Tensor2D; // [B,dModel]
  return {y, state: {conv: conv.state, ssm: scan.state}};
}

/** Δ of a sequence x [B,L,dModel] that nothing comes before, behind its softplus [B,L,E]: how much of a position enters the state. */
export function stepSizesMamba1(weights: Mamba1Weights, config: MixerConfig, x: tf.Tensor3D): tf.Tensor3D {
  const [xs] = split(weights, config, x); // [B,L,E]
  const {y: u} = causalConv1d({x: xs as tf.Tensor3D, ...convolution(weights)});
  return softplus(select(weights, config, u).delta.add(weights['dtProj/bias'])) as tf.Tensor3D;
}

function split(weights: Mamba1Weights, {dInner}: MixerConfig, x: tf.Tensor): tf.Tensor[] {
  return linearInParts({x, weight: weights['inProj/kernel'], bias: weights['inProj/bias']}, [dInner, dInner]);
}

function project(weights: Mamba1Weights, x: tf.Tensor): tf.Tensor {
  return linear({x, weight: weights['outProj/kernel'], bias: weights['outProj/bias']});
}

function convolution(weights: Mamba1Weights) {
  return {
    weight: weights['conv/weight'] as tf.Tensor2D, // [E,K]
    bias: weights['conv/bias'] as tf.Tensor1D | undefined, // [E]
    activation: 'silu' as const,
  };
}

/** What makes the scan selective: step size, B and C are functions of the input u [...,E]. The scan reads the u that is returned. */
function select(weights: Mamba1Weights, {dtRank, dState, mixerEpsilon}: MixerConfig, u: tf.Tensor) {
  const parts = linearInParts({x: u, weight: weights['xProj/kernel']}, [dtRank, dState, dState], true);
  const again = parts.pop()!;
  const [dt, B, C] = mixerEpsilon === undefined ? parts : parts.map((part) => normalized(part, mixerEpsilon));
  return {u: again, delta: linear({x: dt, weight: weights['dtProj/kernel']}), B, C}; // the bias of dtProj goes in with softplus
}

/** The RMS norm without a weight. */
function normalized(x: tf.Tensor, epsilon: number): tf.Tensor {
  return rmsNorm({x, weight: tf.ones<tf.Rank.R1>([x.shape[x.rank - 1]]), epsilon}).y;
}

function recurrence(weights: Mamba1Weights) {
  return {
    A: weights.ALog as tf.Tensor2D, // the logarithm of -A [E,N]
    D: weights.D as tf.Tensor1D, // [E]
    deltaBias: weights['dtProj/bias'] as tf.Tensor1D, // [E]
    deltaSoftplus: true,
  };
}
