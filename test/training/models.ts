/** Small models and data for the training specs, the same at every call. */
import * as tf from '@tensorflow/tfjs';
import {MambaLM} from '../../src/lm/model';
import type {Batch, BatchDataset, Json} from '../../src/training/data';
import {normal, seededRandom, toTensor} from '../support/arrays';

/**
 * [B,3] → [B,2], with biases and a norm. The layers are named, because a checkpoint knows weights by their names, and those that
 * TensorFlow.js makes up differ from model to model.
 */
export function regressor(): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({units: 5, inputShape: [3], activation: 'tanh', name: 'hidden'}),
      tf.layers.layerNormalization({name: 'norm'}),
      tf.layers.dense({units: 2, name: 'head'}),
    ],
  });
  const random = seededRandom(7);
  const weights = model.getWeights().map(({shape}) => toTensor(normal(random, shape, 0.5)));
  model.setWeights(weights);
  tf.dispose(weights);
  return model;
}

/** The mean squared error, a mean over rows. */
export function squaredError(labels: Batch['ys'], outputs: tf.Tensor | tf.Tensor[]): tf.Scalar {
  return (outputs as tf.Tensor)
    .sub(labels as tf.Tensor)
    .square()
    .mean();
}

/** Endless batches for {@link regressor}, or so many; the position is the number of batches. */
export function regressionData(batchSize: number, size = Infinity): BatchDataset {
  return {
    iterator: async (state: Json = 0) => {
      let position = state as number;
      return {
        next: async () => {
          if (position >= size) return {done: true, value: undefined};
          const random = seededRandom(position++);
          const value = tf.tidy(() => {
            const xs = toTensor(normal(random, [batchSize, 3]));
            return {xs, ys: tf.concat([xs.sum(1, true), xs.prod(1, true)], 1)};
          });
          return {done: false, value};
        },
        state: () => position,
      };
    },
  };
}

/** A language model small enough for many steps. */
export function smallLM(): MambaLM {
  return new MambaLM({vocabSize: 7, dModel: 8, nLayer: 2, dState: 4}, {seed: 5});
}

/** Tokens with something to learn: mostly the last one plus one. */
export const smallText = (() => {
  const random = seededRandom(3);
  let token = 0;
  return Array.from({length: 600}, () => (token = random() < 0.9 ? (token + 1) % 7 : Math.floor(7 * random())));
})();

/** The weights of a model, or the state of an optimizer, as plain numbers. */
export async function numbers(tensors: tf.Tensor[]): Promise<number[][]> {
  return Promise.all(tensors.map(async (tensor) => [...(await tensor.data())]));
}
