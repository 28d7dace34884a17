/**
 * Documents of different lengths packed into rows of one length, so that hardly a position is padding. `sequenceIds` say which document a
 * position is of, and layers keep them exactly apart: each is trained as if it were alone in a row.
 */
import * as tf from '@tensorflow/tfjs';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkKeys, checkOneOf, describe} from '../ops/check';
import type {RandomState} from '../random';
import {Random, shuffled} from '../random';
import type {BatchDataset, BatchIterator, Json, TokenBatch} from './data';
import {checkCut, IGNORED, savedRandom, savedRow, tokenAt} from './data';

/** The options of {@link packDocuments}. */
export interface PackOptions {
  /** Positions in a row. */
  length: number;
}

/** Rows of `length` positions. */
export interface PackedRows {
  /** Token ids; 0 at padding, which is at a row's end. */
  ids: Int32Array[];
  /** The token that follows each; -100 at padding. */
  labels: Int32Array[];
  /** The number of the document in its row, from 0; -1 at padding. */
  sequenceIds: Int32Array[];
}

const OP = 'packDocuments';

/** A document's tokens from `start`, `size` positions, each with the token after it as its label. */
interface Piece {
  tokens: ArrayLike<number>;
  start: number;
  size: number;
}

/**
 * Packs documents for next-token prediction, the longest first, each where it leaves the least room (best fit decreasing): the same rows
 * for the same documents, whose order in them is not that of the list. A document of n tokens takes n-1 positions, as its last is a label
 * only; one longer than a row is cut into rows. One of fewer than two tokens has nothing to predict and is left out.
 *
 * @throws Error naming the argument that is wrong.
 */
export function packDocuments(documents: ReadonlyArray<ArrayLike<number>>, options: PackOptions): PackedRows {
  checkKeys(OP, options, ['length']);
  const {length} = options;
  checkNumber(OP, 'length', length, 'positiveCount');
  const rows = bestFit(piecesOf(documents, length), length);
  if (rows.length === 0) throw new Error(`${OP}: documents must hold one of at least two tokens, but none does`);
  const packed: PackedRows = {ids: [], labels: [], sequenceIds: []};
  for (const row of rows) {
    const ids = new Int32Array(length);
    const labels = new Int32Array(length).fill(IGNORED);
    const sequenceIds = new Int32Array(length).fill(-1);
    let at = 0;
    row.forEach(({tokens, start, size}, id) => {
      for (let t = start; t < start + size; t++, at++) {
        ids[at] = tokenAt(OP, tokens, t);
        labels[at] = tokenAt(OP, tokens, t + 1);
        sequenceIds[at] = id;
      }
    });
    packed.ids.push(ids);
    packed.labels.push(labels);
    packed.sequenceIds.push(sequenceIds);
  }
  return packed;
}

/** The longest first, those of one length in their order. */
function piecesOf(documents: ReadonlyArray<ArrayLike<number>>, length: number): Piece[] {
  if (!Array.isArray(documents)) {
    throw new Error(`${OP}: documents must be a list of lists of token ids, but is ${describe(documents)}`);
  }
  const pieces: Piece[] = [];
  (documents as Array<ArrayLike<number>>).forEach((tokens, i) => {
    if (typeof tokens !== 'object' || !Number.isInteger((tokens as ArrayLike<number> | null)?.length)) {
      throw new Error(`${OP}: documents[${i}] must be an array of token ids, but is ${describe(tokens)}`);
    }
    for (let start = 0; start < tokens.length - 1; start += length) {
      pieces.push({tokens, start, size: Math.min(length, tokens.length - 1 - start)});
    }
  });
  return pieces.sort((a, b) => b.size - a.size);
}

/** Each piece, the longest first, into the row where it leaves the least room. */
export function bestFit<P extends {size: number}>(pieces: readonly P[], length: number): P[][] {
  const rows: P[][] = [];
  const byRoom = Array.from({length: length + 1}, (): P[][] => []);
  for (const piece of pieces) {
    let room = piece.size;
    while (room < length && byRoom[room].length === 0) room++;
    const row = byRoom[room].pop() ?? [];
    if (row.length === 0) rows.push(row);
    row.push(piece);
    byRoom[room - piece.size].push(row);
  }
  return rows;
}

/** The options of {@link packedBatches}. */
export interface PackedBatchesOptions extends PackOptions {
  /** Rows in a batch; the last one of a pass may have fewer. */
  batchSize: number;
  /** `random`: endless passes, the rows of each in an order of its own; `sequential`: one pass. */
  order?: 'random' | 'sequential';
  /** Of the random order; 0 unless given. */
  seed?: number;
}

/** Token ids, labels and the numbers of documents: int32 [B,L]. */
export interface PackedBatch extends TokenBatch {
  sequenceIds: tf.Tensor2D;
}

/** See {@link packedBatches}. */
export interface PackedBatches extends BatchDataset<PackedBatch> {
  iterator(state?: Json): Promise<Required<BatchIterator<PackedBatch>>>;
  /** The number of batches in one pass. */
  readonly size: number;
  /** As of {@link TokenWindows}: rows are documents of their own. */
  readonly isContinuous: false;
}

/**
 * Documents as batches of packed rows (`packDocuments`) for the trainer, whose `sequenceIds` it hands to the model.
 *
 * @throws Error naming the argument that is wrong.
 */
export function packedBatches(
  documents: ReadonlyArray<ArrayLike<number>>,
  options: PackedBatchesOptions,
): PackedBatches {
  const NAME = 'packedBatches';
  checkKeys(NAME, options, ['length', 'batchSize', 'order', 'seed']);
  const {length, batchSize, order = 'random', seed = 0} = options;
  checkNumber(NAME, 'batchSize', batchSize, 'positiveCount');
  checkNumber(NAME, 'seed', seed, 'count');
  checkOneOf(NAME, 'order', order, ['random', 'sequential']);
  const rows = packDocuments(documents, {length});
  const count = rows.ids.length;
  const inOrder = Array.from({length: count}, (_, i) => i);
  return {
    isContinuous: false,
    size: Math.ceil(count / batchSize),
    iterator: async (state) => {
      if (state !== undefined) checkCut(NAME, state, {batchSize, length});
      let row = state === undefined ? 0 : savedRow(NAME, state);
      let random: RandomState =
        state === undefined || order === 'sequential' ? new Random(seed).state : savedRandom(NAME, state);
      let pass = order === 'random' ? passFrom(inOrder, random) : {places: inOrder, next: random};
      return {
        next: async () => {
          if (row >= count) {
            if (order === 'sequential') return {done: true, value: undefined};
            random = pass.next;
            pass = passFrom(inOrder, random);
            row = 0;
          }
          const places = pass.places.slice(row, row + batchSize);
          row += places.length;
          return {done: false, value: batchOf(rows, places)};
        },
        state: (): Json => ({row, ...(order === 'random' && {random}), batchSize, length}),
      };
    },
  };
}

/** The places in another order, and the state of the generator behind it. */
function passFrom(places: readonly number[], state: RandomState): {places: number[]; next: RandomState} {
  const random = new Random(state);
  return {places: shuffled(places, random), next: random.state};
}

function batchOf({ids, labels, sequenceIds}: PackedRows, places: readonly number[]): PackedBatch {
  const length = ids[0].length;
  const stacked = (rows: Int32Array[]) => {
    const values = new Int32Array(places.length * length);
    places.forEach((place, i) => values.set(rows[place], i * length));
    return tf.tensor2d(values, [places.length, length], 'int32');
  };
  return tf.tidy(() => ({xs: stacked(ids), ys: stacked(labels), sequenceIds: stacked(sequenceIds)}));
}
