/**
 * The short depthwise convolution in front of the scan: causal, with a past that is carried from chunk to chunk
 * (Dao-AILab/causal-conv1d `causal_conv1d_ref`).
 */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkNotEmpty, checkOneOf, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import './gradient';
import type {ConvActivation} from './kernels';
import {convActivations, convInputs, runCausalConv1d} from './kernels';

/** The arguments of {@link causalConv1d}. B = batch, L = length, D = channels, K = kernel width. */
export interface CausalConv1dArgs {
  /** Input sequence [B,L,D]. */
  x: tf.Tensor3D | tf.TensorLike;
  /** A filter per channel [D,K]; the last column meets the current position. */
  weight: tf.Tensor2D | tf.TensorLike;
  /** Added to the sum [D]. */
  bias?: tf.Tensor1D | tf.TensorLike;
  /** The K-1 inputs before the first position [B,K-1,D], oldest first; zero if absent. */
  initialState?: tf.Tensor3D | tf.TensorLike;
  /**
   * Packed documents, int32 [B,L]: wherever the id changes along a row the window starts anew with zeros before it, and no gradient
   * passes. A row's first document follows on `initialState`.
   */
  sequenceIds?: tf.Tensor2D | tf.TensorLike;
  /** Applied to the sum; 'linear' if absent. */
  activation?: ConvActivation;
}

/** What {@link causalConv1d} returns. */
export type CausalConv1dResult = {
  /** Output sequence [B,L,D]. */
  y: tf.Tensor3D;
  /** The last K-1 inputs [B,K-1,D], oldest first: the initial state of what follows. Of packed documents those of the last. */
  finalState: tf.Tensor3D;
};

/**
 * `y_t = act(bias + Σ_k weight[:,k] · x_{t-K+1+k})`, per channel, with `initialState` before the first position. Differentiable in
 * every input and through both outputs.
 *
 * Documents packed into a row by `sequenceIds` (`seq_idx` of the official kernel) give what each gives alone, bit for bit on cpu, wasm
 * and tensorflow, whatever its neighbours hold, NaN included; gradients of weight and bias are sums over all.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function causalConv1d(args: CausalConv1dArgs): CausalConv1dResult {
  return tf.tidy('causalConv1d', () => {
    const inputs = checkConv(args);
    const [y, finalState] = runCausalConv1d(inputs, {activation: args.activation ?? 'linear'});
    return {y: y as tf.Tensor3D, finalState: finalState as tf.Tensor3D};
  });
}

const OP = 'causalConv1d';

function checkConv(args: CausalConv1dArgs) {
  checkKeys(OP, args, [...convInputs, 'sequenceIds', 'activation']);
  checkOneOf(OP, 'activation', args.activation ?? 'linear', convActivations);
  const x = toTensor(OP, 'x', args.x);
  const weight = toTensor(OP, 'weight', args.weight);
  const bias = toOptionalTensor(OP, 'bias', args.bias);
  const initialState = toOptionalTensor(OP, 'initialState', args.initialState);
  const sequenceIds = toOptionalTensor(OP, 'sequenceIds', args.sequenceIds, 'int32');
  checkRank(OP, 'x', x, 3, '[batch, length, channels]');
  checkNotEmpty(OP, 'x', x);
  const [batch, length, channels] = x.shape as [number, number, number];
  checkRank(OP, 'weight', weight, 2, '[channels, width]');
  checkNotEmpty(OP, 'weight', weight);
  const width = weight.shape[1]!;
  checkShape(OP, 'weight', weight, [channels, width], 'a row per channel of x, [channels, width]');
  checkShape(OP, 'bias', bias, [channels], 'a value per channel');
  checkShape(OP, 'initialState', initialState, [batch, width - 1, channels], 'shape [batch, width - 1, channels]');
  checkShape(OP, 'sequenceIds', sequenceIds, [batch, length], 'an id per position, [batch, length]');
  return {x, weight, bias, initialState, sequenceIds};
}
