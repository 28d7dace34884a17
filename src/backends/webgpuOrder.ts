/**
 * Has each step of a training, and each prefill, find the buffers on WebGPU that those before found, whose bind groups there are then already
 * (./webgpuBindings.ts). TensorFlow.js's pool hands out the buffer that came back last, and what has come back depends on when it submits,
 * so without this the same calls get other buffers in each step, and hardly a bind group is met again.
 */
import * as tf from '@tensorflow/tfjs';
import {numberOf} from './webgpuBindings';

/** What is used of TensorFlow.js's backend. */
interface Pool {
  commandEncoder: GPUCommandEncoder | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
  bufferManager: {freeBuffers: Map<string, GPUBuffer[]>};
}

/** To be called where a sequence of kernels begins that has run before. What has been asked for so far is submitted. */
export function beginAgain(): void {
  if (tf.getBackend() !== 'webgpu') return;
  const backend = tf.backend() as unknown as Pool;
  if (backend.commandEncoder) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
  for (const free of backend.bufferManager.freeBuffers.values()) free.sort((a, b) => numberOf(b) - numberOf(a));
}
