/** The fastest backend that is there. */
import * as tf from '@tensorflow/tfjs';

/**
 * Starts it, and returns its name. `tfjs-mamba/node`, imported before, has brought `tensorflow` if its native half has been set up;
 * wasm is a package that anyone can install.
 */
export async function chooseBackend(): Promise<string> {
  await import('@tensorflow/tfjs-backend-wasm');
  for (const name of ['tensorflow', 'wasm']) {
    // setBackend answers false, and does not throw, when a backend cannot start.
    const known = tf.findBackendFactory(name) !== null;
    if (known && (await tf.setBackend(name)) && tf.getBackend() === name) return name;
  }
  await tf.setBackend('cpu');
  return tf.getBackend();
}
