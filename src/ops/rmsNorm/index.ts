/** The root-mean-square norm (Zhang & Sennrich 2019), with the residual sum of a pre-norm block fused in as state-spaces has it. */
import * as tf from '@tensorflow/tfjs';
import {
  checkKeys,
  checkNotEmpty,
  checkPositive,
  checkRank,
  checkShape,
  showShape,
  toOptionalTensor,
  toTensor,
} from '../check';
import './gradient';
import {rmsNormInputs, runRmsNorm} from './kernels';

/** The arguments of {@link rmsNorm}. D = channels. */
export interface RmsNormArgs {
  /** Input [...,D]. */
  x: tf.Tensor | tf.TensorLike;
  /** Scale [D]. */
  weight: tf.Tensor1D | tf.TensorLike;
  /** Added to x before the norm, of x's shape. */
  residual?: tf.Tensor | tf.TensorLike;
  /** Added to the mean square; 1e-5 if absent. */
  epsilon?: number;
}

/** What {@link rmsNorm} returns. */
export type RmsNormResult<T extends tf.Tensor = tf.Tensor> = {
  /** The normalised sum, of x's shape. */
  y: T;
  /** x + residual, if a residual was given. */
  residual?: T;
};

/**
 * `r = x + residual` (or x), `y = r / √(mean r² + ε) ⊙ weight`, the mean over the last axis. Differentiable in every input and
 * through both outputs.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function rmsNorm(args: RmsNormArgs): RmsNormResult {
  return rmsNormOutputs(args);
}

/**
 * @internal The same; and, if x passes, where the backend can, x as `residual` for who reads it elsewhere too: the gradient of both is then
 * one sum.
 */
export function rmsNormOutputs(args: RmsNormArgs, passes = false): RmsNormResult {
  return tf.tidy('rmsNorm', (): RmsNormResult => {
    const inputs = checkRmsNorm(args);
    const [y, residual] = runRmsNorm(inputs, {epsilon: args.epsilon ?? 1e-5, passes});
    return residual ? {y, residual} : {y};
  });
}

const OP = 'rmsNorm';

function checkRmsNorm(args: RmsNormArgs) {
  checkKeys(OP, args, [...rmsNormInputs, 'epsilon']);
  checkPositive(OP, 'epsilon', args.epsilon ?? 1e-5);
  const x = toTensor(OP, 'x', args.x);
  const weight = toTensor(OP, 'weight', args.weight);
  const residual = toOptionalTensor(OP, 'residual', args.residual);
  if (x.rank === 0) {
    throw new Error(`${OP}: x must have rank 1 or more, [..., channels], but has shape ${showShape(x.shape)}`);
  }
  checkNotEmpty(OP, 'x', x);
  checkRank(OP, 'weight', weight, 1, '[channels]');
  checkShape(OP, 'weight', weight, x.shape.slice(-1), 'a value per channel of x');
  checkShape(OP, 'residual', residual, x.shape, 'the shape of x');
  return {x, weight, residual};
}
