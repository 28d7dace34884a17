/**
 * What TensorFlow.js 4's gradient tape lacks: freeing what it leaves behind when something throws, and computing once more what it need
 * not keep.
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

/** What {@link recomputed} runs a function on. */
export interface Recomputed {
  /** What it is given and has a gradient in. */
  inputs: tf.Tensor[];
  /** What it is given besides: masks, ids. */
  others: tf.Tensor[];
  /** What it reads by itself and has a gradient in. */
  variables: tf.Tensor[];
}

/**
 * Runs a function of one result so that nothing is kept for its gradient but what it is given; the way back runs it once more (Chen et
 * al. 2016, arXiv 1604.06174). Values and gradients are the same, bit for bit.
 */
export function recomputed(
  f: (inputs: tf.Tensor[], others: tf.Tensor[]) => tf.Tensor,
  {inputs, others, variables}: Recomputed,
): tf.Tensor {
  const run = tf.customGrad((...args) => {
    (args[args.length - 1] as tf.GradSaveFunc)([...inputs, ...others]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const given = saved.slice(0, inputs.length);
      return innerGradients(() => f(given, saved.slice(inputs.length)), [...given, ...variables], dy);
    };
    return {value: f(inputs, others), gradFunc};
  });
  return run(...inputs, ...variables);
}

/** Gradients while those of something around are computed, whose tape TensorFlow.js would throw away; zeros where there are none. */
function innerGradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
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
