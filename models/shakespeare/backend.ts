/** The fastest backend that is there. */
import * as tf from '@tensorflow/tfjs';

/** Packages in the order of what to expect of them on a machine without a GPU. */
const backends = [
  ['tensorflow', '@tensorflow/tfjs-node-gpu'],
  ['tensorflow', '@tensorflow/tfjs-node'],
  ['wasm', '@tensorflow/tfjs-backend-wasm'],
] as const;

/** Starts it, and returns its name. */
export async function chooseBackend(): Promise<string> {
  for (const [name, path] of backends) {
    try {
      await import(path);
    } catch {
      continue; // not installed, or without its native library
    }
    // setBackend answers false, and does not throw, when a backend cannot start.
    if ((await tf.setBackend(name)) && tf.getBackend() === name) return name;
  }
  await tf.setBackend('cpu');
  return tf.getBackend();
}
