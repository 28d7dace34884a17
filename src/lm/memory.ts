/** How much a backend can hold, so that a model too large for it is refused before its weights are loaded. */
import * as tf from '@tensorflow/tfjs';
import {largestTensorBytes} from '../backends/traits';

/** tfjs's wasm heap ends at 4 GiB, and its allocator fails silently some way before. */
export const wasmBytes = 3.5e9;

let hostBytes: number | undefined;

/** Tells how much memory the machine has; `tfjs-mamba/node` does, a page cannot. */
export function setHostMemory(bytes: number): void {
  hostBytes = bytes;
}

/**
 * Checks that weights of that size fit the current backend, as far as it can be known.
 *
 * @param totalBytes Size of all weights.
 * @param largestBytes Size of the largest one.
 * @throws Error naming the backend, its limit and the size.
 */
export function checkFits(op: string, totalBytes: number, largestBytes: number): void {
  tf.backend();
  const backendName = tf.getBackend();
  const used = tf.memory().numBytes;
  const limits: Record<string, number | undefined> = {wasm: wasmBytes, cpu: hostBytes, tensorflow: hostBytes};
  const limit = limits[backendName];
  if (limit !== undefined && used + totalBytes > limit) {
    throw new Error(
      `${op}: the weights take ${gigabytes(totalBytes)}, but the ${backendName} backend holds ${gigabytes(limit)} ` +
        `at most, of which ${gigabytes(used)} are in use; use another backend or a smaller model`,
    );
  }
  const largestTensor = largestTensorBytes();
  if (largestBytes > largestTensor) {
    throw new Error(
      `${op}: the largest weight takes ${gigabytes(largestBytes)}, but a tensor of this ${backendName} device holds ` +
        `${gigabytes(largestTensor)} at most; make the backend with createWebGPUBackend(), which asks for more`,
    );
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
