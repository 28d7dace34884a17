/** What the specs of both GPU backends do: run a small scan, ask a small model, and take it through the loss of its GPU. */
import * as tf from '@tensorflow/tfjs';
import {backupWeights, layers, restartBackend, selectiveScan} from '../../src';

/** A scan of ones. */
export function scanOnes(length: number, channels: number) {
  return tf.tidy(() =>
    selectiveScan({
      u: tf.ones([1, length, channels]),
      delta: tf.ones([1, length, channels]),
      A: tf.fill([channels, 2], -1),
      B: tf.ones([1, length, 2]),
      C: tf.ones([1, length, 2]),
    }),
  );
}

const values = Float32Array.from({length: 72}, (_, i) => Math.sin(i));
const input = () => tf.tensor(values, [1, 12, 6]);

/** A model [1,12,6] → [1,12,2], and what it says to always the same input. */
export function smallModel(): {model: tf.Sequential; predict: () => Promise<Float32Array>} {
  const model = tf.sequential({
    layers: [layers.mambaBlock({dState: 4, inputShape: [12, 6], seed: 3}), tf.layers.dense({units: 2})],
  });
  const predict = async () => {
    const y = tf.tidy(() => model.predict(input()) as tf.Tensor);
    return (await y.data().finally(() => y.dispose())) as Float32Array;
  };
  return {model, predict};
}

/**
 * Expects that on a new GPU a model predicts what it did on the lost one, and trains, and that nothing is left behind.
 *
 * @param lose Loses the GPU of the current backend, and looks at how the model says so.
 * @param gpu The context or device of the current backend.
 */
export async function expectSurvival(
  lose: (small: ReturnType<typeof smallModel>) => Promise<void>,
  gpu: () => object,
): Promise<void> {
  const name = tf.getBackend();
  const tensors = tf.memory().numTensors;
  const small = smallModel();
  const {model, predict} = small;
  const expected = await predict();
  const backup = await backupWeights(model);
  const lost = gpu();
  await lose(small);

  await restartBackend();
  backup.restore();
  expect(tf.getBackend()).toBe(name);
  expect(gpu()).not.toBe(lost);
  expect(await predict()).toEqual(expected);

  const optimizer = tf.train.sgd(0.1);
  model.compile({optimizer, loss: 'meanSquaredError'});
  const [x, y] = [input(), tf.zeros([1, 12, 2])];
  const {history} = await model.fit(x, y, {epochs: 3, verbose: 0});
  const [first, , last] = history['loss'] as number[];
  expect(last).toBeLessThan(first);
  tf.dispose([x, y]);
  optimizer.dispose();
  model.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
}
