/** Ids with labels, small models compiled on them, and what the tests read of both. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/lm/model';
import {integer, seededRandom} from '../support/arrays';

/** Ids [B,L] and as many labels, drawn below 11; `ignored` stands in the place of about every fourth label. */
export function labelled(seed: number, [rows, length]: [number, number], ignored?: number) {
  const random = seededRandom(seed);
  const draw = () => integer(random, 0, 10);
  const ids = Array.from({length: rows}, () => Array.from({length}, draw));
  const labels = ids.map((row) => row.map(() => (ignored !== undefined && random() < 0.25 ? ignored : draw())));
  return {ids, labels, xs: int32(ids), ys: int32(labels)};
}

export function int32(rows: number[][]): tf.Tensor2D {
  return tf.tensor2d(rows, undefined, 'int32');
}

/** The values of all weights, by name. */
export async function weightValues(model: MambaLM): Promise<Record<string, Float32Array>> {
  const entries = [...model.weightsByName()].map(async ([name, weight]) => {
    // A copy: the cpu backend hands out what a later step would change.
    return [name, Float32Array.from(await weight.read().data())] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Reads the numbers that `evaluate` or `trainOnBatch` gives, and disposes them. */
export async function scalars(values: tf.Scalar | tf.Scalar[] | number | number[]): Promise<number[]> {
  const list = [values].flat();
  const read = await Promise.all(list.map(async (x) => (typeof x === 'number' ? x : (await x.data())[0])));
  tf.dispose(list);
  return read;
}

/** Mean loss and share of right answers of the counted labels, in float64 from the model's own logits. */
export async function lossAndAccuracy(
  model: MambaLM,
  {xs, labels}: {xs: tf.Tensor; labels: number[][]},
  ignoreIndex = -100,
): Promise<[number, number]> {
  const logits = model.predict(xs) as tf.Tensor;
  const values = await logits.data();
  logits.dispose();
  const {vocabSize} = model.config;
  let loss = 0;
  let right = 0;
  let counted = 0;
  labels.flat().forEach((label, row) => {
    if (label === ignoreIndex) return;
    const scores = [...values.subarray(row * vocabSize, (row + 1) * vocabSize)];
    loss += Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - scores[label];
    right += scores.indexOf(Math.max(...scores)) === label ? 1 : 0;
    counted++;
  });
  return [loss / counted, right / counted];
}
