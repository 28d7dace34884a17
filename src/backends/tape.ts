/**
 * Frees what TensorFlow.js 4 leaves behind when something throws while a gradient is recorded or computed. Its tape keeps copies of
 * the tensors that gradients will need, out of reach of every `tidy`, and forgets them without disposing them when the function that
 * is differentiated throws, or the way back does.
 */
import * as tf from '@tensorflow/tfjs';

/** The engine copies with this what it keeps for a gradient, and nothing else. */
interface Engine {
  clone?(tensor: tf.Tensor): tf.Tensor;
}

/** Runs a function that computes gradients (`tf.variableGrads`, `tf.grads`); if it throws, nothing it made stays. */
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
