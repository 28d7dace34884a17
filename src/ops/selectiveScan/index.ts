/**
 * The selective scan, the heart of Mamba: a linear recurrence whose coefficients depend on the input
 * (Gu & Dao 2023, arXiv 2312.00752, Algorithm 2; state-spaces `selective_scan_ref`).
 */
import * as tf from '@tensorflow/tfjs';
import {
  checkBoolean,
  checkKeys,
  checkNotEmpty,
  checkRank,
  checkShape,
  showShape,
  toOptionalTensor,
  toTensor,
} from '../check';
import {isRecording} from '../../backends/engine';
import './gradient';
import {runSelectiveScan, scanInputs} from './kernels';

/** The arguments of {@link selectiveScan}. B = batch, L = length, D = channels, N = dState, G = groups. */
export interface SelectiveScanArgs {
  /** Input sequence [B,L,D]. */
  u: tf.Tensor3D | tf.TensorLike;
  /** Step size [B,L,D], before the bias and softplus. */
  delta: tf.Tensor3D | tf.TensorLike;
  /** State matrix [D,N], diagonal per channel; negative for a decaying state. */
  A: tf.Tensor2D | tf.TensorLike;
  /** Input projection: [B,L,N], [B,L,G,N] (channel d belongs to group ⌊d·G/D⌋) or constant [D,N]. */
  B: tf.Tensor | tf.TensorLike;
  /** Output projection, shaped as B may be. */
  C: tf.Tensor | tf.TensorLike;
  /** Skip connection [D]. */
  D?: tf.Tensor1D | tf.TensorLike;
  /** Gate [B,L,D]: the output is multiplied by silu(z). */
  z?: tf.Tensor3D | tf.TensorLike;
  /** Added to delta [D]. */
  deltaBias?: tf.Tensor1D | tf.TensorLike;
  /** State before the first position [B,D,N]; zero if absent. */
  initialState?: tf.Tensor3D | tf.TensorLike;
  /**
   * Packed documents, int32 [B,L]: wherever the id changes along a row the state starts anew from zero, and no gradient passes. A row's
   * first document starts from `initialState`.
   */
  sequenceIds?: tf.Tensor2D | tf.TensorLike;
  /** Whether softplus is applied to delta + deltaBias (linear above 20, as in torch). */
  deltaSoftplus?: boolean;
}

/** What {@link selectiveScan} returns. */
export type SelectiveScanResult = {
  /** Output sequence [B,L,D]. */
  y: tf.Tensor3D;
  /** State after the last position [B,D,N], which is that of the last document. */
  finalState: tf.Tensor3D;
};

/**
 * Runs the recurrence over a sequence:
 *
 * ```
 * δ_t = softplus(delta_t + deltaBias)                 h_t = exp(δ_t A) h_{t-1} + δ_t B_t u_t
 * y_t = (C_t h_t + D u_t) · silu(z_t)                 finalState = h_L
 * ```
 *
 * Linear in L in time; memory is that of the inputs and outputs, never B·L·D·N. Differentiable in every input and through both
 * outputs. Deterministic.
 *
 * Documents packed into a row by `sequenceIds` (`seq_idx` of the official Mamba-2 kernels) give what each gives alone, bit for bit on
 * cpu, wasm and tensorflow, whatever its neighbours hold, NaN included; gradients of A, D, deltaBias and constant B, C are sums over all.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function selectiveScan(args: SelectiveScanArgs): SelectiveScanResult {
  return scan(args);
}

/** @internal With `logA`, A is the logarithm of -A: for a backend whose kernels take that. */
export function scan(args: SelectiveScanArgs, logA?: boolean): SelectiveScanResult {
  return tf.tidy('selectiveScan', () => {
    const inputs = checkScan(args);
    const {deltaSoftplus = false} = args;
    const [y, finalState] = runSelectiveScan(inputs, {deltaSoftplus, keepStates: isRecording(), logA});
    return {y: y as tf.Tensor3D, finalState: finalState as tf.Tensor3D};
  });
}

/** Of whose A is the logarithm of -A. */
type LogScan = (args: SelectiveScanArgs & {A: tf.Tensor2D}) => SelectiveScanResult;

/** @internal */
export let scanOfLog: LogScan = (args) => scan({...args, A: args.A.exp().neg()});

/** @internal Brings a way that is better on some backend. */
export function takeScanOfLog(other: LogScan): void {
  scanOfLog = other;
}

const OP = 'selectiveScan';

function checkScan(args: SelectiveScanArgs) {
  checkKeys(OP, args, [...scanInputs, 'sequenceIds', 'deltaSoftplus']);
  checkBoolean(OP, 'deltaSoftplus', args.deltaSoftplus ?? false);
  const u = toTensor(OP, 'u', args.u);
  const delta = toTensor(OP, 'delta', args.delta);
  const A = toTensor(OP, 'A', args.A);
  const D = toOptionalTensor(OP, 'D', args.D);
  const z = toOptionalTensor(OP, 'z', args.z);
  const deltaBias = toOptionalTensor(OP, 'deltaBias', args.deltaBias);
  const initialState = toOptionalTensor(OP, 'initialState', args.initialState);
  const sequenceIds = toOptionalTensor(OP, 'sequenceIds', args.sequenceIds, 'int32');
  checkRank(OP, 'u', u, 3, '[batch, length, channels]');
  checkNotEmpty(OP, 'u', u);
  const [batch, length, channels] = u.shape as [number, number, number];
  checkShape(OP, 'delta', delta, u.shape, 'the shape of u');
  checkRank(OP, 'A', A, 2, '[channels, dState]');
  checkNotEmpty(OP, 'A', A);
  const dState = A.shape[1]!;
  checkShape(OP, 'A', A, [channels, dState], 'a row per channel of u, [channels, dState]');
  checkShape(OP, 'D', D, [channels], 'a value per channel');
  checkShape(OP, 'z', z, u.shape, 'the shape of u');
  checkShape(OP, 'deltaBias', deltaBias, [channels], 'a value per channel');
  checkShape(OP, 'initialState', initialState, [batch, channels, dState], 'shape [batch, channels, dState]');
  checkShape(OP, 'sequenceIds', sequenceIds, [batch, length], 'an id per position, [batch, length]');
  const B = toTensor(OP, 'B', args.B);
  const C = toTensor(OP, 'C', args.C);
  checkProjection(OP, 'B', B, [batch, length], channels, dState);
  checkProjection(OP, 'C', C, [batch, length], channels, dState);
  return {u, delta, A, B: withGroups(B, 2), C: withGroups(C, 2), D, z, deltaBias, initialState, sequenceIds};
}

/**
 * Checks a projection: [...lead, N] or [...lead, G, N]. `lead` is [B,L] for a sequence, where a constant [D,N] is allowed too, and [B]
 * for a single step.
 */
export function checkProjection(
  op: string,
  name: string,
  projection: tf.Tensor,
  lead: readonly number[],
  channels: number,
  dState: number,
): void {
  const {shape, rank} = projection;
  const mayBeConstant = lead.length === 2;
  if (mayBeConstant && rank === 2) {
    checkShape(op, name, projection, [channels, dState], 'shape [channels, dState] when constant');
    return;
  }
  if (rank === lead.length + 1) {
    checkShape(op, name, projection, [...lead, dState], 'a row of dState values per position');
    return;
  }
  if (rank !== lead.length + 2) {
    const constant = mayBeConstant ? [[channels, dState]] : [];
    const forms = [[...lead, dState], [...lead, 'groups', dState], ...constant].map(showShape).join(' or ');
    throw new Error(`${op}: ${name} must have shape ${forms}, but has ${showShape(shape)}`);
  }
  const groups = shape[lead.length];
  checkShape(op, name, projection, [...lead, groups, dState], 'shape [..., groups, dState]');
  if (groups === 0 || channels % groups !== 0) {
    throw new Error(
      `${op}: ${name} must have a number of groups that divides the ${channels} channels, but has ${groups}`,
    );
  }
}

/** Gives a projection with `leading` axes before N its group axis: [...lead, N] becomes [...lead, 1, N]; others stay. */
export function withGroups(projection: tf.Tensor, leading: number): tf.Tensor {
  return projection.rank === leading + 1 ? projection.expandDims(-2) : projection;
}
