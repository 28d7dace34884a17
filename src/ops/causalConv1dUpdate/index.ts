/** One step of the causal convolution, for decoding: causal-conv1d `causal_conv1d_update_ref`. */
import * as tf from '@tensorflow/tfjs';
import type {ConvActivation} from '../causalConv1d/kernels';
import {convActivations} from '../causalConv1d/kernels';
import {checkKeys, checkNotEmpty, checkOneOf, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import './gradient';
import {convUpdateInputs, runCausalConv1dUpdate} from './kernels';

/** The arguments of {@link causalConv1dUpdate}. B = batch, D = channels, K = kernel width. */
export interface CausalConv1dUpdateArgs {
  /** Input [B,D]. */
  x: tf.Tensor2D | tf.TensorLike;
  /** The K-1 inputs before it [B,K-1,D], oldest first; it is not changed. */
  state: tf.Tensor3D | tf.TensorLike;
  /** A filter per channel [D,K]. */
  weight: tf.Tensor2D | tf.TensorLike;
  /** Added to the sum [D]. */
  bias?: tf.Tensor1D | tf.TensorLike;
  /** Applied to the sum; 'linear' if absent. */
  activation?: ConvActivation;
}

/** What {@link causalConv1dUpdate} returns. */
export type CausalConv1dUpdateResult = {
  /** Output [B,D]. */
  y: tf.Tensor2D;
  /** The K-1 inputs before the next position [B,K-1,D]. */
  state: tf.Tensor3D;
};

/**
 * Advances the convolution by one position: `causalConv1d` with L = 1. Differentiable in every input and through both outputs.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function causalConv1dUpdate(args: CausalConv1dUpdateArgs): CausalConv1dUpdateResult {
  return tf.tidy('causalConv1dUpdate', () => {
    const inputs = checkConvUpdate(args);
    const [y, state] = runCausalConv1dUpdate(inputs, {activation: args.activation ?? 'linear'});
    return {y: y as tf.Tensor2D, state: state as tf.Tensor3D};
  });
}

const OP = 'causalConv1dUpdate';

function checkConvUpdate(args: CausalConv1dUpdateArgs) {
  checkKeys(OP, args, [...convUpdateInputs, 'activation']);
  checkOneOf(OP, 'activation', args.activation ?? 'linear', convActivations);
  const x = toTensor(OP, 'x', args.x);
  const state = toTensor(OP, 'state', args.state);
  const weight = toTensor(OP, 'weight', args.weight);
  const bias = toOptionalTensor(OP, 'bias', args.bias);
  checkRank(OP, 'x', x, 2, '[batch, channels]');
  checkNotEmpty(OP, 'x', x);
  const [batch, channels] = x.shape as [number, number];
  checkRank(OP, 'weight', weight, 2, '[channels, width]');
  checkNotEmpty(OP, 'weight', weight);
  const width = weight.shape[1]!;
  checkShape(OP, 'weight', weight, [channels, width], 'a row per channel of x, [channels, width]');
  checkShape(OP, 'state', state, [batch, width - 1, channels], 'shape [batch, width - 1, channels]');
  checkShape(OP, 'bias', bias, [channels], 'a value per channel');
  return {x, state, weight, bias};
}
