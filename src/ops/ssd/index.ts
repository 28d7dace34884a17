/**
 * Mamba-2's scan, the state space dual (Dao & Gu 2024, arXiv 2405.21060; state-spaces `mamba_chunk_scan_combined`,
 * `ssd_minimal_discrete`): the selective scan with one decay per head and position, which makes it a product of matrices.
 *
 * | symbol | meaning |
 * |---|---|
 * | B, L | batch, length |
 * | H, P | heads (`nheads`), channels of a head (`headdim`); D = H·P |
 * | N | size of the state of a channel (`d_state`) |
 * | G | groups (`ngroups`) of heads that share B and C; head h belongs to group ⌊h·G/H⌋ |
 * | Δ, δ | the raw and the final step size |
 */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkNotEmpty, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import {isRecording} from '../../backends/engine';
import type {StepSizeOptions} from './arguments';
import {checkProjection, checkSkip, checkStepSize, inKernelForm} from './arguments';
import './gradient';
import {runSsd, ssdInputs} from './kernels';
import {documentsIn, runPacked} from './packed';

/** The arguments of {@link ssd}. B = batch, L = length, H = heads, P = channels of a head, N = dState, G = groups. */
export interface SsdArgs extends StepSizeOptions {
  /** Input sequence [B,L,H,P]. */
  u: tf.Tensor4D | tf.TensorLike;
  /** Step size [B,L,H], before the bias, softplus and limits. */
  delta: tf.Tensor3D | tf.TensorLike;
  /** State matrix [H], a number per head; negative for a decaying state. */
  A: tf.Tensor1D | tf.TensorLike;
  /** Input projection [B,L,G,N] (head h belongs to group ⌊h·G/H⌋), or [B,L,N] for one group. */
  B: tf.Tensor | tf.TensorLike;
  /** Output projection, of B's shape. */
  C: tf.Tensor | tf.TensorLike;
  /** Skip connection, a value per head [H] or per channel [H,P]. */
  D?: tf.Tensor | tf.TensorLike;
  /** Gate [B,L,H,P]: the output is multiplied by silu(z). */
  z?: tf.Tensor4D | tf.TensorLike;
  /** Added to delta [H]. */
  deltaBias?: tf.Tensor1D | tf.TensorLike;
  /** State before the first position [B,H,P,N]; zero if absent. */
  initialState?: tf.Tensor4D | tf.TensorLike;
  /**
   * Packed documents, int32 [B,L]: wherever the id changes along a row the state starts anew from zero, and no gradient passes. A row's
   * first document starts from `initialState`.
   */
  sequenceIds?: tf.Tensor2D | tf.TensorLike;
  /** Whether softplus is applied to delta + deltaBias (linear above 20, as in torch). */
  deltaSoftplus?: boolean;
  /** Limits of the step size after softplus, [min, max], rounded to float32; none if absent. The gradient stops outside, as torch's clamp has it. */
  deltaLimit?: readonly [min: number, max: number];
}

/** What {@link ssd} returns. */
export type SsdResult = {
  /** Output sequence [B,L,H,P]. */
  y: tf.Tensor4D;
  /** State after the last position [B,H,P,N], which is that of the last document. */
  finalState: tf.Tensor4D;
};

/**
 * Runs the recurrence over a sequence, for each head h and its group g:
 *
 * ```
 * δ_t = clamp(softplus(delta_t + deltaBias), deltaLimit)    h_t = exp(δ_t A) h_{t-1} + δ_t u_t ⊗ B_t
 * y_t = (h_t C_t + D u_t) · silu(z_t)                       finalState = h_L
 * ```
 *
 * Linear in L in time; memory is that of the inputs and outputs and of one state a chunk, never B·L·H·P·N. Differentiable in every
 * input and through both outputs. Deterministic.
 *
 * Documents packed into a row by `sequenceIds` (`seq_idx` of the official kernels) give what each gives alone: they go through the kernel
 * one after the other, so many short ones are slower than one long row. What one holds, NaN included, changes nothing in the others; the
 * gradients of A, D and deltaBias are sums over all. The ids are read back; on WebGPU that works for an array, or a tensor fresh from one.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function ssd(args: SsdArgs): SsdResult {
  return tf.tidy('ssd', () => {
    const {inputs, step, sequenceIds} = checkSsd(args);
    const attrs = {...step, keepStates: isRecording()};
    const [y, finalState] = sequenceIds
      ? runPacked(inputs, attrs, documentsIn(OP, sequenceIds))
      : runSsd(inputs, attrs);
    return {y: y as tf.Tensor4D, finalState: finalState as tf.Tensor4D};
  });
}

const OP = 'ssd';

function checkSsd(args: SsdArgs) {
  checkKeys(OP, args, [...ssdInputs, 'sequenceIds', 'deltaSoftplus', 'deltaLimit']);
  const step = checkStepSize(OP, args);
  const u = toTensor(OP, 'u', args.u);
  const delta = toTensor(OP, 'delta', args.delta);
  const A = toTensor(OP, 'A', args.A);
  const B = toTensor(OP, 'B', args.B);
  const C = toTensor(OP, 'C', args.C);
  const D = toOptionalTensor(OP, 'D', args.D);
  const z = toOptionalTensor(OP, 'z', args.z);
  const deltaBias = toOptionalTensor(OP, 'deltaBias', args.deltaBias);
  const initialState = toOptionalTensor(OP, 'initialState', args.initialState);
  const sequenceIds = toOptionalTensor(OP, 'sequenceIds', args.sequenceIds, 'int32');
  checkRank(OP, 'u', u, 4, '[batch, length, heads, headDim]');
  checkNotEmpty(OP, 'u', u);
  const [batch, length, heads, headDim] = u.shape as [number, number, number, number];
  checkShape(OP, 'delta', delta, [batch, length, heads], 'a value per position and head');
  checkShape(OP, 'A', A, [heads], 'a value per head');
  checkNotEmpty(OP, 'B', B);
  const dState = B.shape[B.rank - 1];
  checkProjection(OP, 'B', B, [batch, length], heads, dState);
  checkShape(OP, 'C', C, B.shape, 'the shape of B');
  checkSkip(OP, D, heads, headDim);
  checkShape(OP, 'z', z, u.shape, 'the shape of u');
  checkShape(OP, 'deltaBias', deltaBias, [heads], 'a value per head');
  const stateShape = [batch, heads, headDim, dState];
  checkShape(OP, 'initialState', initialState, stateShape, 'shape [batch, heads, headDim, dState]');
  checkShape(OP, 'sequenceIds', sequenceIds, [batch, length], 'an id per position, [batch, length]');
  return {inputs: {u, delta, A, ...inKernelForm({B, C, D}, 2), z, deltaBias, initialState}, step, sequenceIds};
}
