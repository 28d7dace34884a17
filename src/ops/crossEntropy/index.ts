/** The loss of a language model: softmax cross entropy from logits and integer labels, as torch's `cross_entropy`. */
import * as tf from '@tensorflow/tfjs';
import {checkIndices, checkKeys, checkNotEmpty, checkShape, showShape, toTensor} from '../check';
import './gradient';
import {runCrossEntropy} from './kernels';

/** The arguments of {@link crossEntropy}. V = classes. */
export interface CrossEntropyArgs {
  /** Unnormalised log probabilities [..., V]. */
  logits: tf.Tensor | tf.TensorLike;
  /** The right class of each row, int32, of the logits' shape without the last axis. Labels are not shifted here. */
  labels: tf.Tensor | tf.TensorLike;
  /** Rows with this label do not count; -100 if absent. */
  ignoreIndex?: number;
}

/**
 * The mean of −log softmax(logits)[label] over the rows whose label is not `ignoreIndex`, in nats; 0 with zero gradient if no row
 * counts. Differentiable in the logits. A label outside [0, V) throws on cpu, wasm and a tensorflow without a GPU,
 * and does not count elsewhere.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function crossEntropy(args: CrossEntropyArgs): tf.Scalar {
  return tf.tidy('crossEntropy', () => {
    checkKeys(OP, args, ['logits', 'labels', 'ignoreIndex']);
    const {ignoreIndex = -100} = args;
    if (!Number.isInteger(ignoreIndex)) {
      throw new Error(`${OP}: ignoreIndex must be an integer, but is ${String(ignoreIndex)}`);
    }
    const logits = toTensor(OP, 'logits', args.logits);
    const labels = toTensor(OP, 'labels', args.labels, 'int32');
    if (logits.rank === 0) {
      throw new Error(
        `${OP}: logits must have rank 1 or more, [..., classes], but has shape ${showShape(logits.shape)}`,
      );
    }
    checkNotEmpty(OP, 'logits', logits);
    checkShape(OP, 'labels', labels, logits.shape.slice(0, -1), 'the shape of logits without its last axis');
    const classes = logits.shape[logits.rank - 1];
    checkIndices(OP, 'labels', labels, classes, ignoreIndex);
    const [loss] = runCrossEntropy(
      {logits: logits.reshape([-1, classes]), labels: labels.reshape([-1])},
      {ignoreIndex},
    );
    return loss as tf.Scalar;
  });
}

const OP = 'crossEntropy';
