/**
 * The Mamba mixer as functions of its weights: projection, short convolution, selective scan, gate, projection
 * (Gu & Dao 2023, figure 3; state-spaces `mamba_simple.py`). Layers own the weights and call these.
 *
 * dModel = width of the input, E = dInner = channels of the convolution and the scan, N = dState, K = dConv, R = dtRank.
 */
import * as tf from '@tensorflow/tfjs';
import {causalConv1d} from '../ops/causalConv1d';
import {causalConv1dUpdate} from '../ops/causalConv1dUpdate';
import {linear} from '../ops/linear';
import {selectiveScan} from '../ops/selectiveScan';
import {selectiveStateUpdate} from '../ops/selectiveStateUpdate';
import type {Initialize} from './initializers';
import {fanIn, logRange, ones, seedFor, stepSizeBias, uniform, zeros} from './initializers';
import {alignment, permute} from './masking';

/** The sizes and the start of a mixer, every value filled in. */
export interface MixerConfig {
  dModel: number;
  dInner: number;
  dState: number;
  dConv: number;
  dtRank: number;
  dtMin: number;
  dtMax: number;
  dtInit: 'random' | 'constant';
  dtScale: number;
  dtInitFloor: number;
  convBias: boolean;
  useBias: boolean;
}

/** What a mixer carries from one position, or one chunk, to the next. Plain values: whoever gets one disposes it. */
export type LayerState = {
  /** The last K-1 inputs of the convolution [B,K-1,dInner]. */
  conv: tf.Tensor3D;
  /** The state of the scan [B,dInner,N]. */
  ssm: tf.Tensor3D;
};

/** The state before the first position. */
export function zeroState(batch: number, {dInner, dState, dConv}: MixerConfig): LayerState {
  return {conv: tf.zeros([batch, dConv - 1, dInner]), ssm: tf.zeros([batch, dInner, dState])};
}

export type MixerWeight =
  | 'inProj/kernel'
  | 'inProj/bias'
  | 'conv/weight'
  | 'conv/bias'
  | 'xProj/kernel'
  | 'dtProj/kernel'
  | 'dtProj/bias'
  | 'ALog'
  | 'D'
  | 'outProj/kernel'
  | 'outProj/bias';

/** A mixer's weights by name; the biases that the configuration leaves out are absent. */
export type MixerWeights = Record<Exclude<MixerWeight, 'inProj/bias' | 'conv/bias' | 'outProj/bias'>, tf.Tensor> & {
  [K in MixerWeight]?: tf.Tensor;
};

export interface WeightSpec<Name extends string = string> {
  name: Name;
  shape: number[];
  initialize: Initialize;
}

/** Name, shape and start of every weight, in their order. The seed fixes the random ones. */
export function mixerWeightSpecs(config: MixerConfig, seed?: number): WeightSpec<MixerWeight>[] {
  const {dModel, dInner, dState, dConv, dtRank, dtInit, dtScale, convBias, useBias} = config;
  const seedOf = (name: string) => seedFor(seed, name);
  const dtBound = dtRank ** -0.5 * dtScale;
  const spec = (name: MixerWeight, shape: number[], initialize: Initialize) => ({name, shape, initialize});
  return [
    spec('inProj/kernel', [dModel, 2 * dInner], fanIn(dModel, seedOf('inProj/kernel'))),
    ...(useBias ? [spec('inProj/bias', [2 * dInner], zeros)] : []),
    spec('conv/weight', [dInner, dConv], fanIn(dConv, seedOf('conv/weight'))),
    ...(convBias ? [spec('conv/bias', [dInner], fanIn(dConv, seedOf('conv/bias')))] : []),
    spec('xProj/kernel', [dInner, dtRank + 2 * dState], fanIn(dInner, seedOf('xProj/kernel'))),
    spec(
      'dtProj/kernel',
      [dtRank, dInner],
      dtInit === 'constant' ? (shape) => tf.fill(shape, dtBound) : uniform(dtBound, seedOf('dtProj/kernel')),
    ),
    spec('dtProj/bias', [dInner], stepSizeBias(config, seedOf('dtProj/bias'))),
    spec('ALog', [dInner, dState], logRange),
    spec('D', [dInner], ones),
    spec('outProj/kernel', [dInner, dModel], fanIn(dInner, seedOf('outProj/kernel'))),
    ...(useBias ? [spec('outProj/bias', [dModel], zeros)] : []),
  ];
}

/** Added to the step size at masked positions: its softplus is 0, so that the state is held there. */
const NEVER = -1e4;

/**
 * Runs the mixer over a sequence x [B,L,dModel] → y of the same shape, and the state after it.
 *
 * @param mask [B,L], zero at padding. There y is that of zero input; the state is that of the last real position.
 */
export function mix(
  weights: MixerWeights,
  config: MixerConfig,
  x: tf.Tensor3D,
  state?: LayerState,
  mask?: tf.Tensor,
): {y: tf.Tensor3D; state: LayerState} {
  const moved = mask && alignment(mask);
  const input = moved ? permute(x, moved.order, moved.inverse).mul(moved.mask) : x;
  const [xs, z] = tf.split(linear({x: input, kernel: weights['inProj/kernel'], bias: weights['inProj/bias']}), 2, -1);
  const conv = moved ? maskedConv(weights, xs, moved.mask, state?.conv) : plainConv(weights, xs, state?.conv);
  const {delta, B, C} = selection(weights, config, conv.y);
  const {y, finalState} = selectiveScan({
    u: conv.y,
    delta: (moved ? delta.mul(moved.mask).add(tf.sub(1, moved.mask).mul(NEVER)) : delta) as tf.Tensor3D,
    ...recurrence(weights),
    B,
    C,
    z: z as tf.Tensor3D,
    initialState: state?.ssm,
    deltaSoftplus: true,
  });
  const out = linear({x: y, kernel: weights['outProj/kernel'], bias: weights['outProj/bias']});
  return {
    y: (moved ? permute(out, moved.inverse, moved.order) : out) as tf.Tensor3D,
    state: {conv: conv.finalState, ssm: finalState},
  };
}

/** Runs the mixer for one position: x [B,dModel] → y of the same shape, and the next state. */
export function mixStep(
  weights: MixerWeights,
  config: MixerConfig,
  x: tf.Tensor2D,
  state: LayerState,
): {y: tf.Tensor2D; state: LayerState} {
  const [xs, z] = tf.split(linear({x, kernel: weights['inProj/kernel'], bias: weights['inProj/bias']}), 2, -1);
  const conv = causalConv1dUpdate({
    x: xs as tf.Tensor2D,
    state: state.conv,
    weight: weights['conv/weight'] as tf.Tensor2D,
    bias: weights['conv/bias'] as tf.Tensor1D | undefined,
    activation: 'silu',
  });
  const {delta, B, C} = selection(weights, config, conv.y);
  const {y, state: ssm} = selectiveStateUpdate({
    state: state.ssm,
    u: conv.y,
    delta: delta as tf.Tensor2D,
    ...recurrence(weights),
    B,
    C,
    z: z as tf.Tensor2D,
    deltaSoftplus: true,
  });
  const out = linear({x: y, kernel: weights['outProj/kernel'], bias: weights['outProj/bias']});
  return {y: out as tf.Tensor2D, state: {conv: conv.state, ssm}};
}

/** What makes the scan selective: step size, B and C are linear functions of the input. */
function selection(weights: MixerWeights, {dtRank, dState}: MixerConfig, u: tf.Tensor) {
  const [dt, B, C] = tf.split(linear({x: u, kernel: weights['xProj/kernel']}), [dtRank, dState, dState], -1);
  return {delta: linear({x: dt, kernel: weights['dtProj/kernel']}), B, C};
}

function recurrence(weights: MixerWeights) {
  return {
    A: weights.ALog.exp().neg() as tf.Tensor2D,
    D: weights.D as tf.Tensor1D,
    deltaBias: weights['dtProj/bias'] as tf.Tensor1D,
  };
}

function plainConv(weights: MixerWeights, xs: tf.Tensor, initialState?: tf.Tensor3D) {
  return causalConv1d({
    x: xs as tf.Tensor3D,
    weight: weights['conv/weight'] as tf.Tensor2D,
    bias: weights['conv/bias'] as tf.Tensor1D | undefined,
    initialState,
    activation: 'silu',
  });
}

/**
 * The convolution over a sequence whose real positions are at the right: its outputs are zero at padding, and a carried past is put
 * right in front of the first real position.
 */
function maskedConv(weights: MixerWeights, xs: tf.Tensor, mask: tf.Tensor, past?: tf.Tensor3D) {
  const real = xs.mul(mask); // with a bias in front of it, padding is no longer zero
  if (!past || past.shape[1] === 0) {
    const {y, finalState} = plainConv(weights, real, past);
    return {y: y.mul<tf.Tensor3D>(mask), finalState};
  }
  const [batch, steps, channels] = past.shape;
  const extended = alignment(tf.concat([tf.ones([batch, steps]), mask.squeeze([2])], 1));
  const {y, finalState} = plainConv(weights, permute(tf.concat([past, real], 1), extended.order, extended.inverse));
  return {y: y.slice([0, steps, 0], [batch, xs.shape[1]!, channels]).mul<tf.Tensor3D>(mask), finalState};
}
