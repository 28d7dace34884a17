/** Tasks made of short stories that end in questions: endless batches of them, and the share of the answers that a model gets right. */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset, Json, MambaLM, TokenBatch} from '../../src/node';
import type {RandomState} from '../../src/random';
import {Random} from '../../src/random';

/** The label of a position where nothing is asked. */
export const UNASKED = -100;

/** One sequence, and at every position what should come next there, or {@link UNASKED}. */
export interface Episode {
  ids: Int32Array;
  labels: Int32Array;
}

/** Draws an episode; all of a task have one length. */
export type Draw = (random: Random) => Episode;

/** A batch that fresh episodes make: int32 [rows,length] each. */
export function drawBatch(draw: Draw, rows: number, random: Random): TokenBatch {
  const episodes = Array.from({length: rows}, () => draw(random));
  const shape: [number, number] = [rows, episodes[0].ids.length];
  const stacked = (of: keyof Episode) => {
    const values = new Int32Array(shape[0] * shape[1]);
    episodes.forEach((episode, row) => values.set(episode[of], row * shape[1]));
    return tf.tensor2d(values, shape, 'int32');
  };
  return {xs: stacked('ids'), ys: stacked('labels')};
}

/** Endless batches of episodes that are never seen twice; of several kinds, each batch is of one. */
export function episodes(
  draws: Draw | readonly Draw[],
  options: {batchSize: number; seed: number},
): BatchDataset<TokenBatch> {
  return {
    iterator: async (state) => {
      const random = new Random((state as RandomState | undefined) ?? options.seed);
      const kind = () => (typeof draws === 'function' ? draws : draws[random.below(draws.length)]);
      return {
        next: async () => ({done: false, value: drawBatch(kind(), options.batchSize, random)}),
        state: (): Json => random.state,
      };
    },
  };
}

/** The share of answers that are right in so many fresh episodes, of a seed that training does not use. */
export async function accuracy(
  model: MambaLM,
  draw: Draw,
  options: {rows: number; seed: number; batchSize: number},
): Promise<number> {
  const random = new Random(options.seed);
  let [right, asked] = [0, 0];
  for (let rows = options.rows; rows > 0; rows -= options.batchSize) {
    const {xs, ys} = drawBatch(draw, Math.min(rows, options.batchSize), random);
    const answers = tf.tidy(() => (model.predict(xs) as tf.Tensor3D).argMax(-1));
    const [given, wanted] = [await answers.data(), await ys.data()];
    wanted.forEach((id, i) => {
      if (id === UNASKED) return;
      asked++;
      if (given[i] === id) right++;
    });
    tf.dispose([xs, ys, answers]);
  }
  return right / asked;
}
