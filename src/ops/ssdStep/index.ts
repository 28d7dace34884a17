/** One step of Mamba-2's scan, for decoding: state-spaces `selective_state_update` with heads. */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkNotEmpty, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import type {StepSizeOptions} from '../ssd/arguments';
import {checkProjection, checkSkip, checkStepSize, inKernelForm} from '../ssd/arguments';
import './gradient';
import {runSsdStep, ssdStepInputs} from './kernels';

/** The arguments of {@link ssdStep}. B = batch, H = heads, P = channels of a head, N = dState, G = groups. */
export interface SsdStepArgs extends StepSizeOptions {
  /** State before the step [B,H,P,N]; it is not changed. */
  state: tf.Tensor4D | tf.TensorLike;
  /** Input [B,H,P]. */
  u: tf.Tensor3D | tf.TensorLike;
  /** Step size [B,H], before the bias, softplus and limits. */
  delta: tf.Tensor2D | tf.TensorLike;
  /** State matrix [H], a number per head. */
  A: tf.Tensor1D | tf.TensorLike;
  /** Input projection [B,G,N], or [B,N] for one group. */
  B: tf.Tensor | tf.TensorLike;
  /** Output projection, of B's shape. */
  C: tf.Tensor | tf.TensorLike;
  /** Skip connection, a value per head [H] or per channel [H,P]. */
  D?: tf.Tensor | tf.TensorLike;
  /** Gate [B,H,P]. */
  z?: tf.Tensor3D | tf.TensorLike;
  /** Added to delta [H]. */
  deltaBias?: tf.Tensor1D | tf.TensorLike;
  /** Whether softplus is applied to delta + deltaBias. */
  deltaSoftplus?: boolean;
  /** Limits of the step size after softplus, [min, max], rounded to float32; none if absent. */
  deltaLimit?: readonly [min: number, max: number];
}

/** What {@link ssdStep} returns. */
export type SsdStepResult = {
  /** Output [B,H,P]. */
  y: tf.Tensor3D;
  /** State after the step [B,H,P,N]. */
  state: tf.Tensor4D;
};

/**
 * Advances the state by one position: the formulas of `ssd` with L = 1. Differentiable in every input and through both outputs.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function ssdStep(args: SsdStepArgs): SsdStepResult {
  return tf.tidy('ssdStep', () => {
    const {inputs, step} = checkSsdStep(args);
    const [y, state] = runSsdStep(inputs, step);
    return {y: y as tf.Tensor3D, state: state as tf.Tensor4D};
  });
}

const OP = 'ssdStep';

function checkSsdStep(args: SsdStepArgs) {
  checkKeys(OP, args, [...ssdStepInputs, 'deltaSoftplus', 'deltaLimit']);
  const step = checkStepSize(OP, args);
  const state = toTensor(OP, 'state', args.state);
  const u = toTensor(OP, 'u', args.u);
  const delta = toTensor(OP, 'delta', args.delta);
  const A = toTensor(OP, 'A', args.A);
  const B = toTensor(OP, 'B', args.B);
  const C = toTensor(OP, 'C', args.C);
  const D = toOptionalTensor(OP, 'D', args.D);
  const z = toOptionalTensor(OP, 'z', args.z);
  const deltaBias = toOptionalTensor(OP, 'deltaBias', args.deltaBias);
  checkRank(OP, 'state', state, 4, '[batch, heads, headDim, dState]');
  checkNotEmpty(OP, 'state', state);
  const [batch, heads, headDim, dState] = state.shape as [number, number, number, number];
  checkShape(OP, 'u', u, [batch, heads, headDim], 'shape [batch, heads, headDim]');
  checkShape(OP, 'delta', delta, [batch, heads], 'a value per head');
  checkShape(OP, 'A', A, [heads], 'a value per head');
  checkProjection(OP, 'B', B, [batch], heads, dState);
  checkShape(OP, 'C', C, B.shape, 'the shape of B');
  checkSkip(OP, D, heads, headDim);
  checkShape(OP, 'z', z, u.shape, 'the shape of u');
  checkShape(OP, 'deltaBias', deltaBias, [heads], 'a value per head');
  return {inputs: {state, u, delta, A, ...inKernelForm({B, C, D}, 1), z, deltaBias}, step};
}
