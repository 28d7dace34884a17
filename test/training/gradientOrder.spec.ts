/** When gradients are handed out: each as soon as it is whole, so that it can travel while the way back goes on. */
import * as tf from '@tensorflow/tfjs';
import {gradientSums, nextToken} from '../../src/training/gradients';
import {relativeError} from '../support/closeness';
import {smallLM, smallText} from './models';

const values = (x: tf.Tensor) => Float64Array.from(x.dataSync());

describe('gradients that are handed out one by one', () => {
  for (const gradCheckpoint of [false, true]) {
    it(`come from the last layer on, and are those handed out together (gradCheckpoint ${gradCheckpoint})`, () => {
      const model = smallLM();
      const batches = [0, 1].map((part) => ({
        xs: tf.tensor2d(smallText.slice(40 * part, 40 * part + 36), [2, 18], 'int32'),
        ys: tf.tensor2d(smallText.slice(40 * part + 1, 40 * part + 37), [2, 18], 'int32'),
      }));
      const whole = gradientSums(model, batches, nextToken, {gradCheckpoint});
      const before = tf.memory().numTensors;
      const told: string[] = [];
      const errors: number[] = [];
      const rest = gradientSums(model, batches, nextToken, {gradCheckpoint}, undefined, (name, sum) => {
        told.push(name.replace(/_\d+$/, ''));
        errors.push(relativeError(values(sum), values(whole.gradients[name])));
      });
      tf.dispose(rest);
      expect(rest.gradients).toEqual({});
      expect(tf.memory().numTensors).toBe(before);
      expect(errors).toEqual(told.map(() => 0));
      const names = model.trainableWeights.map(({originalName}) => originalName);
      expect([...told].sort()).toEqual([...names].sort());
      // The head is tied to the embedding, whose gradient is whole only in the end.
      const layers = told.map((name) => name.split('/')[0]).filter((name, i, all) => name !== all[i - 1]);
      expect(layers.slice(1)).toEqual(['layers.1', 'layers.0', 'embeddings']);
      expect(layers[0]).toMatch(/norm/i);
      tf.dispose([whole.loss, whole.total, whole.gradients, batches.flatMap(({xs, ys}) => [xs, ys])]);
      model.dispose();
    });
  }
});
