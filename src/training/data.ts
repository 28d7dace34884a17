/**
 * What a trainer needs of data: batches of windows out of one long list of tokens. A dataset here is a description that never
 * changes; what moves is its iterator, whose position can be saved and gone on from exactly.
 */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkOneOf, describe} from '../ops/check';
import {checkNumber} from '../ops/adamW/hyperparameters';
import type {RandomState} from '../random';
import {Random} from '../random';

/** Inputs and labels. Who takes a batch disposes it. */
export interface Batch {
  xs: tf.Tensor | tf.Tensor[];
  ys: tf.Tensor | tf.Tensor[];
  /** Packed documents, int32 [B,L], which the layers of the model keep apart: see {@link packedBatches}. */
  sequenceIds?: tf.Tensor2D;
  /** Whether the rows begin here, and do not go on where those of the batch before ended: for a trainer that is `stateful`. */
  isStart?: boolean;
}

/** What JSON can hold. */
export type Json = null | boolean | number | string | Json[] | {[key: string]: Json};

/** One pass over a dataset. */
export interface BatchIterator<B = Batch> {
  /** The next batch, whose tensors are the caller's to dispose. */
  next(): Promise<IteratorResult<B>>;
  /** The position between two batches: what `iterator` of the dataset takes to go on from here. Needed for exact resume. */
  state?(): Json;
}

/** A source of batches: those of this file, or a `tf.data.Dataset` of `{xs, ys}`. */
export interface BatchDataset<B = Batch> {
  /** Starts at the beginning, or where the iterator was that gave `state`. */
  iterator(state?: Json): Promise<BatchIterator<B>>;
}

/** The options of {@link tokenWindows}. */
export interface TokenWindowsOptions {
  /** Rows in a batch. */
  batchSize: number;
  /** Tokens in a row. */
  length: number;
  /**
   * `random`: endless crops at random places; `sequential`: each token is a label once, in order; `continuous`: the tokens are cut into
   * as many stretches as a batch has rows, and each row goes on where it ended in the batch before, again and again from the beginning:
   * for a trainer that is `stateful`.
   */
  order?: 'random' | 'sequential' | 'continuous';
  /** Of the random places; 0 unless given. */
  seed?: number;
}

/** Token ids and, for each, the id that follows it: int32 [B,L]. */
export interface TokenBatch {
  xs: tf.Tensor2D;
  ys: tf.Tensor2D;
  isStart?: boolean;
}

/** Tokens that are read as they are needed, such as those of a file. */
export interface TokenSource {
  readonly length: number;
  /** The tokens [start, end). */
  read(start: number, end: number): Promise<ArrayLike<number>>;
}

/** See {@link tokenWindows}. Goes into the trainer, and into `model.fitDataset` and `model.evaluateDataset` too. */
export interface TokenWindows extends BatchDataset<TokenBatch> {
  /** As of every dataset; its position can always be saved. */
  iterator(state?: Json): Promise<Required<BatchIterator<TokenBatch>>>;
  /** Whether each row goes on where that of the batch before ended, as a `stateful` trainer needs it. */
  readonly isContinuous: boolean;
  /** The number of batches in one pass; infinite for random crops, and where passes follow on each other. */
  readonly size: number;
}

/** The label that the loss leaves out. */
export const IGNORED = -100;
const OP = 'tokenWindows';
/** What others call them. */
const elsewhere = {seq_len: 'length', seq_length: 'length', max_seq_length: 'length', block_size: 'length'};

/**
 * Cuts one long list of tokens into batches for next-token prediction. Sequential rows follow on from each other; the last row is
 * filled up with positions whose label is ignored, the last batch may have fewer rows.
 *
 * @param tokens A list of token ids, or where they are read from.
 * @param options How they are cut.
 * @throws Error naming the option that is wrong.
 */
export function tokenWindows(tokens: ArrayLike<number> | TokenSource, options: TokenWindowsOptions): TokenWindows {
  checkKeys(OP, options, ['batchSize', 'length', 'order', 'seed'], elsewhere);
  const {batchSize, length, order = 'random', seed = 0} = options;
  checkNumber(OP, 'batchSize', batchSize, 'positiveCount');
  checkNumber(OP, 'length', length, 'positiveCount');
  checkNumber(OP, 'seed', seed, 'count');
  if (order !== 'continuous') checkOneOf(OP, 'order', order, ['random', 'sequential']);
  const needed = {random: length + 1, sequential: 2, continuous: batchSize * length + 1}[order];
  if (typeof tokens !== 'object' || !Number.isInteger((tokens as ArrayLike<number> | null)?.length)) {
    throw new Error(`${OP}: tokens must be an array of token ids, but is ${describe(tokens)}`);
  }
  if (!(tokens.length >= needed)) {
    throw new Error(`${OP}: tokens must be a list of at least ${needed} token ids, but has ${tokens.length}`);
  }
  const source = toSource(tokens);
  const cutAs = {batchSize, length};
  const position = <T>(read: (op: string, state: Json) => T, state: Json): T => {
    const place = read(OP, state);
    checkCut(OP, state, cutAs);
    return place;
  };
  const labels = tokens.length - 1;
  if (order === 'sequential') {
    const rows = Math.ceil(labels / length);
    return {
      size: Math.ceil(rows / batchSize),
      isContinuous: batchSize === 1,
      iterator: async (state = {row: 0}) => sequential(source, rows, cutAs, position(savedRow, state)),
    };
  }
  if (order === 'continuous') {
    const stretch = Math.floor(labels / batchSize);
    const windows = Math.floor(stretch / length);
    return {
      isContinuous: true,
      size: Infinity,
      iterator: async (state = {row: 0}) => {
        let window = position(savedRow, state);
        return {
          next: async () => {
            const isStart = window % windows === 0;
            const starts = Array.from({length: batchSize}, (_, row) => row * stretch + (window % windows) * length);
            window++;
            return {done: false, value: {...(await cut(source, starts, length)), isStart}};
          },
          state: () => ({row: window, ...cutAs}),
        };
      },
    };
  }
  return {
    isContinuous: false,
    size: Infinity,
    iterator: async (state) => {
      const random = new Random(state === undefined ? seed : position(savedRandom, state));
      return {
        next: async () => {
          const starts = Array.from({length: batchSize}, () => random.below(labels - length + 1));
          return {done: false, value: await cut(source, starts, length)};
        },
        state: () => ({random: random.state, ...cutAs}),
      };
    },
  };
}

/** Checks that a position is of data cut alike; those of earlier releases do not say. */
export function checkCut(op: string, state: Json, own: {batchSize: number; length: number}): void {
  const saved = (state ?? {}) as Partial<Record<string, Json>>;
  for (const name of ['batchSize', 'length'] as const) {
    if (saved[name] !== undefined && saved[name] !== own[name]) {
      throw new Error(
        `${op}: the position is of data with ${name} ${JSON.stringify(saved[name])}, but here it is ${own[name]}; a run goes on ` +
          'with the data it was begun with',
      );
    }
  }
}

/** The row that a saved position says. */
export function savedRow(op: string, state: Json): number {
  const {row} = (state ?? {}) as Partial<Record<string, Json>>;
  if (!Number.isSafeInteger(row) || (row as number) < 0) {
    throw new Error(
      `${op}: the position in sequential order must be {row: a whole number}, but is ${JSON.stringify(state)}`,
    );
  }
  return row as number;
}

/** The random state that a saved position says. */
export function savedRandom(op: string, state: Json): RandomState {
  const {random} = (state ?? {}) as Partial<Record<string, Json>>;
  const isWord = (word: unknown) => Number.isInteger(word) && (word as number) >= 0 && (word as number) < 2 ** 32;
  if (!Array.isArray(random) || random.length !== 4 || !random.every(isWord) || !random.some((word) => word !== 0)) {
    throw new Error(
      `${op}: the position in random order must be {random: four words, not all zero}, but is ${JSON.stringify(state)}`,
    );
  }
  return random as RandomState;
}

function sequential(tokens: TokenSource, rows: number, cutAs: {batchSize: number; length: number}, first: number) {
  const {batchSize, length} = cutAs;
  let row = first;
  return {
    next: async (): Promise<IteratorResult<TokenBatch>> => {
      const count = Math.min(batchSize, rows - row);
      if (count <= 0) return {done: true, value: undefined};
      const starts = Array.from({length: count}, (_, i) => (row + i) * length);
      row += count;
      return {done: false, value: await cut(tokens, starts, length)};
    },
    state: () => ({row, ...cutAs}),
  };
}

function toSource(tokens: ArrayLike<number> | TokenSource): TokenSource {
  if ('read' in tokens && typeof tokens.read === 'function') return tokens;
  const list = tokens as ArrayLike<number>;
  return {
    length: list.length,
    read: async (start, end) => Array.from({length: end - start}, (_, t) => list[start + t]),
  };
}

async function cut(tokens: TokenSource, starts: number[], length: number): Promise<TokenBatch> {
  const xs = new Int32Array(starts.length * length);
  const ys = new Int32Array(starts.length * length).fill(IGNORED);
  for (const [row, start] of starts.entries()) {
    const end = Math.min(start + length + 1, tokens.length);
    const read = await tokens.read(start, end);
    for (let t = 0; start + t + 1 < end; t++) {
      xs[row * length + t] = tokenAt(OP, read, t, start);
      ys[row * length + t] = tokenAt(OP, read, t + 1, start);
    }
  }
  const shape: [number, number] = [starts.length, length];
  return tf.tidy(() => ({xs: tf.tensor2d(xs, shape, 'int32'), ys: tf.tensor2d(ys, shape, 'int32')}));
}

/** A token, if it is one; `start` is where the list begins in the whole. */
export function tokenAt(op: string, tokens: ArrayLike<number>, place: number, start = 0): number {
  const token = tokens[place];
  // An Int32Array would cut 1.5 down to 1, and NaN to 0.
  if ((token | 0) !== token) {
    throw new Error(`${op}: tokens must hold whole numbers of 32 bits, but has ${String(token)} at ${start + place}`);
  }
  return token;
}
