/**
 * Batches of examples of different lengths. Neighbours in length share a batch, so that little of it is padding; padding is on the right,
 * where a model that looks back alone does not see it, and its labels do not count.
 */
import * as tf from '@tensorflow/tfjs';
import {Random} from '../random';
import type {BatchDataset, Json, TokenBatch, TokenSource} from '../training/data';

/** Examples one behind the other. */
export interface Examples {
  readonly tokens: TokenSource;
  /** Where each begins, and in the end where the last one does. */
  readonly starts: readonly number[];
  /** How many of its first tokens are no labels. */
  readonly prompts: readonly number[];
}

/** How they are taken. */
export interface ExampleOptions {
  batchSize: number;
  /** `random`: pass after pass, the batches of each in an order of its own; `sequential`: each example once. */
  order: 'random' | 'sequential';
  seed: number;
  /** The examples [from, to). */
  range: readonly [from: number, to: number];
}

const IGNORED = -100;

/** The dataset; its size is the number of batches in a pass. */
export function exampleBatches(examples: Examples, options: ExampleOptions): BatchDataset<TokenBatch> & {size: number} {
  const {batchSize, order, seed, range} = options;
  const batches = byLength(examples, range, batchSize);
  return {
    size: batches.length,
    iterator: async (state) => {
      let {pass, batch} = state === undefined ? {pass: 0, batch: 0} : saved(state, batches.length);
      const turn = () => (order === 'random' ? shuffled(batches.length, seed, pass) : undefined);
      let places = turn();
      return {
        next: async () => {
          if (batch === batches.length) {
            if (order === 'sequential') return {done: true, value: undefined};
            [pass, batch] = [pass + 1, 0];
            places = turn();
          }
          const members = batches[places ? places[batch] : batch];
          batch++;
          return {done: false, value: await readBatch(examples, members)};
        },
        state: () => ({pass, batch}),
      };
    },
  };
}

/** Examples of like length together; of the same length in their own order. */
function byLength({starts}: Examples, [from, to]: readonly [number, number], batchSize: number): number[][] {
  const lengthOf = (i: number) => starts[i + 1] - starts[i];
  const sorted = Array.from({length: to - from}, (_, i) => from + i).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
  const count = Math.ceil(sorted.length / batchSize);
  return Array.from({length: count}, (_, i) => sorted.slice(i * batchSize, (i + 1) * batchSize));
}

/** An order of so many things (Fisher & Yates), the same for the same seed and pass. */
function shuffled(count: number, seed: number, pass: number): number[] {
  const random = new Random(seed * 65537 + pass);
  const places = Array.from({length: count}, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places;
}

async function readBatch({tokens, starts, prompts}: Examples, members: readonly number[]): Promise<TokenBatch> {
  const rows = await Promise.all(members.map((i) => tokens.read(starts[i], starts[i + 1])));
  const length = Math.max(...rows.map((row) => row.length)) - 1;
  const xs = new Int32Array(rows.length * length);
  const ys = new Int32Array(rows.length * length).fill(IGNORED);
  rows.forEach((row, r) => {
    for (let t = 0; t + 1 < row.length; t++) {
      xs[r * length + t] = row[t];
      if (t + 1 >= prompts[members[r]]) ys[r * length + t] = row[t + 1];
    }
  });
  const shape: [number, number] = [rows.length, length];
  return tf.tidy(() => ({xs: tf.tensor2d(xs, shape, 'int32'), ys: tf.tensor2d(ys, shape, 'int32')}));
}

function saved(state: Json, batches: number): {pass: number; batch: number} {
  const {pass, batch} = (state ?? {}) as Partial<Record<string, Json>>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (isCount(pass) && isCount(batch) && batch <= batches) return {pass, batch};
  throw new Error(
    `openData: the position must be {pass, batch} of ${batches} batches a pass, but is ${JSON.stringify(state)}`,
  );
}
