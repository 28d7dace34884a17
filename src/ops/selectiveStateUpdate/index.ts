/** One step of the selective scan, for decoding: state-spaces `selective_state_update`. */
import * as tf from '@tensorflow/tfjs';
import {checkBoolean, checkKeys, checkNotEmpty, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import {checkProjection, withGroups} from '../selectiveScan';
import './gradient';
import {runSelectiveStateUpdate, stateUpdateInputs} from './kernels';

/** The arguments of {@link selectiveStateUpdate}. B = batch, D = channels, N = dState, G = groups. */
export interface SelectiveStateUpdateArgs {
  /** State before the step [B,D,N]; it is not changed. */
  state: tf.Tensor3D | tf.TensorLike;
  /** Input [B,D]. */
  u: tf.Tensor2D | tf.TensorLike;
  /** Step size [B,D], before the bias and softplus. */
  delta: tf.Tensor2D | tf.TensorLike;
  /** State matrix [D,N]. */
  A: tf.Tensor2D | tf.TensorLike;
  /** Input projection [B,N] or [B,G,N]. */
  B: tf.Tensor | tf.TensorLike;
  /** Output projection [B,N] or [B,G,N]. */
  C: tf.Tensor | tf.TensorLike;
  /** Skip connection [D]. */
  D?: tf.Tensor1D | tf.TensorLike;
  /** Gate [B,D]. */
  z?: tf.Tensor2D | tf.TensorLike;
  /** Added to delta [D]. */
  deltaBias?: tf.Tensor1D | tf.TensorLike;
  /** Whether softplus is applied to delta + deltaBias. */
  deltaSoftplus?: boolean;
}

/** What {@link selectiveStateUpdate} returns. */
export type SelectiveStateUpdateResult = {
  /** Output [B,D]. */
  y: tf.Tensor2D;
  /** State after the step [B,D,N]. */
  state: tf.Tensor3D;
};

/**
 * Advances the state by one position: the formulas of `selectiveScan` with L = 1. Differentiable in every input and through both
 * outputs.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function selectiveStateUpdate(args: SelectiveStateUpdateArgs): SelectiveStateUpdateResult {
  return tf.tidy('selectiveStateUpdate', () => {
    const inputs = checkStateUpdate(args);
    const [y, state] = runSelectiveStateUpdate(inputs, {deltaSoftplus: args.deltaSoftplus ?? false});
    return {y: y as tf.Tensor2D, state: state as tf.Tensor3D};
  });
}

const OP = 'selectiveStateUpdate';

function checkStateUpdate(args: SelectiveStateUpdateArgs) {
  checkKeys(OP, args, [...stateUpdateInputs, 'deltaSoftplus']);
  checkBoolean(OP, 'deltaSoftplus', args.deltaSoftplus ?? false);
  const state = toTensor(OP, 'state', args.state);
  const u = toTensor(OP, 'u', args.u);
  const delta = toTensor(OP, 'delta', args.delta);
  const A = toTensor(OP, 'A', args.A);
  const D = toOptionalTensor(OP, 'D', args.D);
  const z = toOptionalTensor(OP, 'z', args.z);
  const deltaBias = toOptionalTensor(OP, 'deltaBias', args.deltaBias);
  checkRank(OP, 'state', state, 3, '[batch, channels, dState]');
  checkNotEmpty(OP, 'state', state);
  const [batch, channels, dState] = state.shape as [number, number, number];
  checkShape(OP, 'u', u, [batch, channels], 'shape [batch, channels]');
  checkShape(OP, 'delta', delta, [batch, channels], 'the shape of u');
  checkShape(OP, 'A', A, [channels, dState], 'shape [channels, dState]');
  checkShape(OP, 'D', D, [channels], 'a value per channel');
  checkShape(OP, 'z', z, [batch, channels], 'the shape of u');
  checkShape(OP, 'deltaBias', deltaBias, [channels], 'a value per channel');
  const B = toTensor(OP, 'B', args.B);
  const C = toTensor(OP, 'C', args.C);
  checkProjection(OP, 'B', B, [batch], channels, dState);
  checkProjection(OP, 'C', C, [batch], channels, dState);
  return {state, u, delta, A, B: withGroups(B, 1), C: withGroups(C, 1), D, z, deltaBias};
}
