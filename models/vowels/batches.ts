/** Series as batches, and how many of them a model gets right. */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset} from '../../src/node';
import {Random, shuffled} from '../../src/random';
import type {Series} from './series';

/** Series [B,L,channels], followed by zeros where they are shorter, and their labels int32 [B]. */
export interface SeriesBatch {
  xs: tf.Tensor3D;
  ys: tf.Tensor1D;
}

export function seriesBatch(rows: readonly Series[]): SeriesBatch {
  const length = Math.max(...rows.map(({channels}) => channels[0].length));
  const count = rows[0].channels.length;
  const values = new Float32Array(rows.length * length * count);
  rows.forEach(({channels}, row) =>
    channels.forEach((channel, c) => channel.forEach((value, t) => (values[(row * length + t) * count + c] = value))),
  );
  const labels = rows.map(({label}) => label);
  return {xs: tf.tensor3d(values, [rows.length, length, count]), ys: tf.tensor1d(labels, 'int32')};
}

/** Endless batches, all series once before any a second time. */
export function seriesBatches(
  series: readonly Series[],
  {batchSize, seed}: {batchSize: number; seed: number},
): BatchDataset<SeriesBatch> {
  return {
    iterator: async () => {
      const random = new Random(seed);
      let left: Series[] = [];
      return {
        next: async () => {
          if (left.length === 0) left = shuffled(series, random);
          return {done: false, value: seriesBatch(left.splice(0, batchSize))};
        },
      };
    },
  };
}

/** The share of the series whose highest logit is that of their label. */
export async function accuracy(model: tf.LayersModel, series: readonly Series[], rows = 50): Promise<number> {
  let right = 0;
  for (let first = 0; first < series.length; first += rows) {
    const {xs, ys} = seriesBatch(series.slice(first, first + rows));
    const hits = tf.tidy(() => (model.predict(xs) as tf.Tensor).argMax(-1).equal(ys).toFloat().sum());
    right += (await hits.data())[0];
    tf.dispose([xs, ys, hits]);
  }
  return right / series.length;
}
