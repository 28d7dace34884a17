/** Stretches of the months of training, and the change of temperature that was to come at each of their hours. */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset} from '../../src/node';
import {Random} from '../../src/random';
import type {Weather} from './table';
import {FEATURES, hourAt, trainingEnd} from './table';
import {HORIZON, UNIT} from './models';

/** Features [B,L,FEATURES] and changes [B,L,HORIZON], in units of {@link UNIT}. */
export interface WeatherBatch {
  xs: tf.Tensor3D;
  ys: tf.Tensor3D;
}

/** Hours [first, first+length) of a series, of which `HORIZON` more must be known. */
export function weatherBatch(places: ReadonlyArray<{weather: Weather; first: number}>, length: number): WeatherBatch {
  const xs = new Float32Array(places.length * length * FEATURES);
  const ys = new Float32Array(places.length * length * HORIZON);
  places.forEach(({weather: {features, temperature}, first}, row) => {
    xs.set(features.subarray(first * FEATURES, (first + length) * FEATURES), row * length * FEATURES);
    for (let t = 0; t < length; t++) {
      for (let ahead = 1; ahead <= HORIZON; ahead++) {
        const change = temperature[first + t + ahead] - temperature[first + t];
        ys[(row * length + t) * HORIZON + ahead - 1] = change / UNIT;
      }
    }
  });
  return {
    xs: tf.tensor3d(xs, [places.length, length, FEATURES]),
    ys: tf.tensor3d(ys, [places.length, length, HORIZON]),
  };
}

/** Endless batches of stretches from anywhere in the months of training, of which nothing later is seen. */
export function weatherWindows(
  stations: readonly Weather[],
  {batchSize, length, seed}: {batchSize: number; length: number; seed: number},
): BatchDataset<WeatherBatch> {
  return {
    iterator: async () => {
      const random = new Random(seed);
      return {
        next: async () => {
          const places = Array.from({length: batchSize}, () => {
            const weather = stations[random.below(stations.length)];
            return {weather, first: random.below(hourAt(weather, trainingEnd) - length - HORIZON + 1)};
          });
          return {done: false, value: weatherBatch(places, length)};
        },
      };
    },
  };
}

/** The mean absolute error; at the first day of a stretch little is known, and nothing is asked. */
export function loss(changes: tf.Tensor | tf.Tensor[], forecast: tf.Tensor | tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => {
    const later = (tensor: tf.Tensor) => tensor.slice([0, 24, 0], [-1, -1, -1]);
    const errors = later(forecast as tf.Tensor)
      .sub(later(changes as tf.Tensor))
      .abs();
    return errors.mean(-1).mean(-1).mean<tf.Scalar>(); // parts first, as a sum of TensorFlow.js on wasm is one float32
  });
}
