/**
 * What this package uses of TensorFlow.js's engine besides its public functions: the registry of kernels, the gradient tape, the
 * variables by name, the factories of backends.
 */
import * as tf from '@tensorflow/tfjs';

/** Whether the current backend has a kernel of that name. */
export function hasKernel(kernelName: string): boolean {
  tf.backend(); // starts the default backend if none has been chosen yet
  return tf.getKernel(kernelName, tf.getBackend()) !== undefined;
}

/** Runs a kernel on a list of inputs; the engine takes any object with enumerable keys, its types know only maps. */
export function runKernel(kernelName: string, inputs: tf.Tensor[], attrs: object): tf.Tensor[] {
  return tf
    .engine()
    .runKernel<tf.Tensor[]>(kernelName, inputs as unknown as tf.NamedTensorMap, attrs as unknown as tf.NamedAttrMap);
}

/**
 * Whether a gradient tape is recording, so that a forward kernel should keep what its backward needs. Inside a kernel, or what
 * `tf.customGrad` runs as one, none is.
 */
export function isRecording(): boolean {
  const {gradientDepth, kernelDepth} = tf.engine().state;
  return gradientDepth > 0 && kernelDepth === 0;
}

/** Runs a function whose tensors are constants to any gradient that is being recorded, as what `tf.customGrad` runs forward is. */
export function asConstant<T>(work: () => T): T {
  const {state} = tf.engine();
  state.kernelDepth++;
  try {
    return work();
  } finally {
    state.kernelDepth--;
  }
}

/** The variable of that name. */
export function variableNamed(name: string): tf.Variable | undefined {
  return tf.engine().registeredVariables[name];
}

/** Throws the current backend away, with every tensor on it, and registers a new one of its kind; whether that starts. */
export async function startAnew(): Promise<boolean> {
  const name = tf.getBackend();
  const {factory, priority} = tf.engine().registryFactory[name];
  tf.removeBackend(name);
  tf.registerBackend(name, factory, priority);
  return tf.setBackend(name);
}
