/** What the current backend is like, where callers must know: what it can read at once, hold, and do fast. */
import * as tf from '@tensorflow/tfjs';

/** The parts of backends that say so. */
interface NodeBackend {
  isUsingGpuDevice: boolean;
  /** Hands the numbers of tensors to TensorFlow, where that has not been done. */
  getInputTensorIds(tensors: Array<{dataId: object}>): number[];
}
interface WebGpuBackend {
  uploadToGPU(dataId: object): void;
  device?: {limits?: {maxStorageBufferBindingSize?: number; maxBufferSize?: number}};
}

/** Whether TensorFlow behind tfjs-node runs on a GPU. */
export function isTensorflowOnGpu(): boolean {
  return (tf.findBackend('tensorflow') as unknown as NodeBackend).isUsingGpuDevice;
}

/** Whether the current backend is TensorFlow on a CPU. */
export function isTensorflowOnCpu(): boolean {
  return tf.getBackend() === 'tensorflow' && !isTensorflowOnGpu();
}

/**
 * Whether the current backend's values can be read at once: not on a GPU, nor where TensorFlow has one, for that would wait for all that
 * has been asked of it. Only there are values checked; elsewhere a value out of range counts as ignored and never reads outside its
 * buffer.
 */
export function valuesAreAtHand(): boolean {
  const name = tf.getBackend();
  return name === 'tensorflow' ? !isTensorflowOnGpu() : ['cpu', 'wasm'].includes(name);
}

/** Whether a product by a transposed operand is slower than transposing first: on wasm, 3 to 45 times (measured). */
export function transposedProductsAreSlow(): boolean {
  return tf.getBackend() === 'wasm';
}

/** Whether a dispatch costs the host more than the arithmetic of a small tensor costs the device. */
export function dispatchesAreCostly(): boolean {
  return tf.getBackend() === 'webgpu';
}

/** Bytes of the largest tensor that the current backend takes, as far as it tells. */
export function largestTensorBytes(): number {
  const {maxStorageBufferBindingSize = Infinity, maxBufferSize = Infinity} =
    (tf.backend() as unknown as WebGpuBackend).device?.limits ?? {};
  return Math.min(maxStorageBufferBindingSize, maxBufferSize);
}

/**
 * Moves the numbers of a tensor to the GPU, or to TensorFlow, at once, and out of JavaScript's memory, so that of what is loaded one after
 * the other no two copies pile up. On webgl they wait for the first program, which decides how their texture is packed; TensorFlow.js lets them go then.
 */
export function uploadNow({dataId}: tf.Tensor): void {
  if (tf.getBackend() === 'webgpu') (tf.backend() as unknown as WebGpuBackend).uploadToGPU(dataId);
  if (tf.getBackend() === 'tensorflow') (tf.backend() as unknown as NodeBackend).getInputTensorIds([{dataId}]);
}

/** Whether the current backend keeps every bit of an int32: WebGL keeps them as float32, which has 24. */
export function wordsAreExact(): boolean {
  return tf.getBackend() !== 'webgl';
}
