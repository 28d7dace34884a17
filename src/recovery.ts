/**
 * What to do about a GPU that is lost: a browser takes it away when a phone's page goes to the background, when a driver is reset, when a
 * laptop changes graphics. Every tensor that was there is gone. Kernels and reads then throw an error that says so; these two functions
 * bring a model back.
 */
import * as tf from '@tensorflow/tfjs';
import {startAnew} from './backends/engine';

/** A copy of a model's weights in JavaScript's memory. */
export interface WeightBackup {
  /** Writes the weights back into the model, on the backend that is now in use. */
  restore(): void;
}

/**
 * Copies the weights of a model to JavaScript's memory, which costs 4 bytes a parameter: TensorFlow.js keeps no copy of what is on a
 * GPU. With it, a model outlives the GPU without being loaded again:
 *
 * ```js
 * const backup = await backupWeights(model);
 * try {
 *   await generate();
 * } catch (error) {            // 'selectiveScan: the WebGL context was lost: …', or 'The WebGPU device was lost …'
 *   await restartBackend();    // or await tf.setBackend('wasm')
 *   backup.restore();
 *   await generate();          // from the prompt on: states, too, were on the GPU
 * }
 * ```
 *
 * A training run also loses its optimizer's moments: resume it from the trainer's last checkpoint instead.
 */
export async function backupWeights(model: tf.LayersModel): Promise<WeightBackup> {
  if (!(model instanceof tf.LayersModel)) throw new Error('backupWeights: model must be a tf.LayersModel');
  const copies = await Promise.all(
    model.weights.map(async (weight) => ({weight, values: (await weight.read().data()).slice()})),
  );
  return {
    restore() {
      for (const {weight, values} of copies) {
        const tensor = tf.tensor(values, weight.shape as number[], weight.dtype);
        weight.write(tensor);
        tensor.dispose();
      }
    },
  };
}

/**
 * Throws the current backend away, with every tensor on it, and starts a new one of the same name: a new WebGL context, a new WebGPU
 * device. Models stay, but their weights must be written again ({@link backupWeights}), or the models be loaded again.
 *
 * @throws Error if the backend does not start again, as when the GPU is gone for good; choose another then, with
 * `await tf.setBackend('wasm')`.
 */
export async function restartBackend(): Promise<void> {
  const name = tf.getBackend();
  if (!(await startAnew())) {
    throw new Error(`restartBackend: ${name} does not start again; choose another backend with tf.setBackend('wasm')`);
  }
}
