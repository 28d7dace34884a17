/**
 * Batches of examples of different lengths. One in a row, neighbours in length share a batch, so that little of it is padding; padding is on
 * the right, where a model that looks back alone does not see it, and its labels do not count. Or several packed into a row, which
 * `sequenceIds` keep apart.
 */
import * as tf from '@tensorflow/tfjs';
import {Random, shuffled} from '../random';
import type {BatchDataset, Json, TokenBatch, TokenSource} from '../training/data';
import {checkCut} from '../training/data';
import {bestFit} from '../training/packing';

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
  /** Tokens that examples were cut at. */
  length: number;
  /** `random`: pass after pass, the batches of each in an order of its own; `sequential`: each example once. */
  order: 'random' | 'sequential';
  seed: number;
  /** The examples [from, to). */
  range: readonly [from: number, to: number];
  /** Whether several are packed into a row of `length` positions. */
  pack: boolean;
}

/** The examples of a row. */
type Row = readonly number[];

const IGNORED = -100;

/** The dataset; its size is the number of batches in a pass, and no row goes on where another ended. */
export function exampleBatches(
  examples: Examples,
  options: ExampleOptions,
): BatchDataset<TokenBatch> & {size: number; isContinuous: false} {
  const {batchSize, length, order, seed, range, pack} = options;
  const rows = pack ? packed(examples, range, length) : byLength(examples, range);
  const size = Math.ceil(rows.length / batchSize);
  const batches = Array.from({length: size}, (_, i) => rows.slice(i * batchSize, (i + 1) * batchSize));
  return {
    size,
    isContinuous: false,
    iterator: async (state) => {
      if (state !== undefined) checkCut('openData', state, {batchSize, length});
      let {pass, batch} = state === undefined ? {pass: 0, batch: 0} : saved(state, size);
      const turn = () => (order === 'random' ? orderOf(size, seed, pass) : undefined);
      let places = turn();
      return {
        next: async () => {
          if (batch === size) {
            if (order === 'sequential') return {done: true, value: undefined};
            [pass, batch] = [pass + 1, 0];
            places = turn();
          }
          const next = batches[places ? places[batch] : batch];
          batch++;
          return {done: false, value: await readBatch(examples, next, pack ? length : undefined)};
        },
        state: () => ({pass, batch, batchSize, length}),
      };
    },
  };
}

/** Examples of like length behind one another; of the same length in their own order. */
function byLength({starts}: Examples, [from, to]: readonly [number, number]): Row[] {
  const lengthOf = (i: number) => starts[i + 1] - starts[i];
  const sorted = Array.from({length: to - from}, (_, i) => from + i).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
  return sorted.map((i) => [i]);
}

/** Rows of so many positions; the last token of an example is a label only. */
function packed({starts}: Examples, [from, to]: readonly [number, number], length: number): Row[] {
  const pieces = Array.from({length: to - from}, (_, k) => {
    const i = from + k;
    return {i, size: starts[i + 1] - starts[i] - 1};
  });
  const sorted = pieces.sort((a, b) => b.size - a.size || a.i - b.i);
  return bestFit(sorted, length).map((row) => row.map(({i}) => i));
}

/** An order of so many things, the same for the same seed and pass. */
function orderOf(count: number, seed: number, pass: number): number[] {
  return shuffled(
    Array.from({length: count}, (_, i) => i),
    new Random(seed * 65537 + pass),
  );
}

/** @param width Positions in a row of several; else as many as the longest has. */
async function readBatch(
  {tokens, starts, prompts}: Examples,
  rows: readonly Row[],
  width: number | undefined,
): Promise<TokenBatch & {sequenceIds?: tf.Tensor2D}> {
  const length = width ?? Math.max(...rows.map(([i]) => starts[i + 1] - starts[i] - 1));
  const size = rows.length * length;
  const xs = new Int32Array(size);
  const ys = new Int32Array(size).fill(IGNORED);
  const ids = new Int32Array(size).fill(-1);
  const fill = async (row: Row, r: number) => {
    let at = r * length;
    for (const [id, i] of row.entries()) {
      const example = await tokens.read(starts[i], starts[i + 1]);
      for (let t = 0; t + 1 < example.length; t++, at++) {
        xs[at] = example[t];
        ids[at] = id;
        if (t + 1 >= prompts[i]) ys[at] = example[t + 1];
      }
    }
  };
  await Promise.all(rows.map(fill));
  const tensor = (values: Int32Array) => tf.tensor2d(values, [rows.length, length], 'int32');
  return tf.tidy(() => ({xs: tensor(xs), ys: tensor(ys), ...(width !== undefined && {sequenceIds: tensor(ids)})}));
}

function saved(state: Json, batches: number): {pass: number; batch: number} {
  const {pass, batch} = (state ?? {}) as Partial<Record<string, Json>>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (isCount(pass) && isCount(batch) && batch <= batches) return {pass, batch};
  throw new Error(
    `openData: the position must be {pass, batch} of ${batches} batches a pass, but is ${JSON.stringify(state)}`,
  );
}
