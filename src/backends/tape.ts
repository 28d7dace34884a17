/**
 * What TensorFlow.js 4's gradient tape lacks: freeing what it leaves behind when something throws, and one gradient
 * inside another.
 */
import * as tf from '@tensorflow/tfjs';

/** The engine copies with this what it keeps for a gradient, and nothing else. */
interface Engine {
  clone?(tensor: tf.Tensor): tf.Tensor;
}

/**
 * Runs a function that computes gradients (`tf.variableGrads`, `tf.grads`); if it throws, nothing it made stays. The tape keeps copies of
 * the tensors that gradients will need, out of reach of every `tidy`, and forgets them without disposing them when the function that
 * is differentiated throws, or the way back does.
 */
export function freeingTape<T extends tf.TensorContainer>(gradients: () => T): T {
  const engine = tf.engine() as unknown as Engine;
  const {clone} = engine;
  const copies: tf.Tensor[] = [];
  engine.clone = (tensor) => {
    const copy = clone!.call(engine, tensor);
    copies.push(copy);
    return copy;
  };
  try {
    return tf.tidy(gradients);
  } catch (error) {
    tf.dispose(copies);
    throw error;
  } finally {
    engine.clone = clone;
  }
}

/** Computes gradients while those of something around are computed, whose tape TensorFlow.js would throw away; zeros where there are none. */
export function innerGradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const engine = tf.engine();
  const {activeTape} = engine.state;
  try {
    return tf.tidy(() => {
      const {grads} = engine.gradients(f, xs, dy, true);
      return grads.map((grad, i) => grad ?? tf.zerosLike(xs[i]));
    });
  } finally {
    engine.state.activeTape = activeTape;
  }
}

/** The value of a function, and its gradients in `xs`, with holes where it does not depend on one. */
export function valueAndGradients(
  f: () => tf.Scalar,
  xs: tf.Tensor[],
): {value: tf.Scalar; grads: Array<tf.Tensor | null>} {
  return tf.engine().gradients(f, xs, undefined, true);
}
