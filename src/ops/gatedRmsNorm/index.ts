/**
 * The gated root-mean-square norm at the end of a Mamba-2 mixer (Dao & Gu 2024; state-spaces `RMSNormGated`, Hugging Face
 * `MambaRMSNormGated`).
 */
import * as tf from '@tensorflow/tfjs';
import {
  checkBoolean,
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
import {gatedRmsNormInputs, runGatedRmsNorm} from './kernels';

/** The arguments of {@link gatedRmsNorm}. D = channels. */
export interface GatedRmsNormArgs {
  /** Input [...,D]. */
  x: tf.Tensor | tf.TensorLike;
  /** Gate, of x's shape. */
  z?: tf.Tensor | tf.TensorLike;
  /** Scale [D]. */
  weight: tf.Tensor1D | tf.TensorLike;
  /**
   * The last axis is cut into so many groups of neighbours, each normed by itself; 1 if absent. The original checkpoints of Mamba-2
   * norm per group of heads, those in the Hugging Face layout over all channels.
   */
  groups?: number;
  /** Whether the gate multiplies the normed input instead of the input; false if absent. */
  normBeforeGate?: boolean;
  /** Added to the mean square; 1e-5 if absent. */
  epsilon?: number;
}

/**
 * `r / √(mean r² + ε) ⊙ weight` with `r = x · silu(z)`, or `r = x` and the result times `silu(z)` where the norm comes before the
 * gate; without z there is no gate. The mean is over the channels of a group. Differentiable in every input.
 *
 * @returns y, of x's shape.
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function gatedRmsNorm(args: GatedRmsNormArgs): tf.Tensor {
  return tf.tidy('gatedRmsNorm', () => {
    const inputs = checkGatedRmsNorm(args);
    const {groups = 1, normBeforeGate = false, epsilon = 1e-5} = args;
    const [y] = runGatedRmsNorm(inputs, {groups, normBeforeGate, epsilon});
    return y;
  });
}

const OP = 'gatedRmsNorm';

function checkGatedRmsNorm(args: GatedRmsNormArgs) {
  checkKeys(OP, args, [...gatedRmsNormInputs, 'groups', 'normBeforeGate', 'epsilon']);
  const {groups = 1, normBeforeGate = false, epsilon = 1e-5} = args;
  checkBoolean(OP, 'normBeforeGate', normBeforeGate);
  checkPositive(OP, 'epsilon', epsilon);
  checkPositive(OP, 'groups', groups);
  const x = toTensor(OP, 'x', args.x);
  const weight = toTensor(OP, 'weight', args.weight);
  const z = toOptionalTensor(OP, 'z', args.z);
  if (x.rank === 0) {
    throw new Error(`${OP}: x must have rank 1 or more, [..., channels], but has shape ${showShape(x.shape)}`);
  }
  checkNotEmpty(OP, 'x', x);
  const channels = x.shape[x.rank - 1];
  checkRank(OP, 'weight', weight, 1, '[channels]');
  checkShape(OP, 'weight', weight, [channels], 'a value per channel of x');
  checkShape(OP, 'z', z, x.shape, 'the shape of x');
  if (!Number.isInteger(groups) || channels % groups !== 0) {
    throw new Error(`${OP}: groups must be a whole number that divides the ${channels} channels, but is ${groups}`);
  }
  return {x, weight, z};
}
