/**
 * `bench -- packing`: training tokens a second on documents of a real mix of lengths, the speeches of Shakespeare's plays in characters:
 * packed into rows, beside one document a row padded to the longest, that of its batch and that of all. Only labels that count are
 * counted. The ways take turns.
 */
import {readFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import type {Batch, MambaConfig} from '../src';
import {adamW, characterTokenizer, mambaLM, packDocuments, trainer} from '../src';
import {seededRandom} from '../test/support/arrays';
import {printTable} from './timing';

const mixers: Record<string, Partial<MambaConfig>> = {Mamba: {}, 'Mamba-2': {mixer: 'mamba2'}};
const sizes = {dModel: 256, nLayer: 4};
const DOCUMENTS = 64;
const ROWS = 8;
const LENGTH = 1024;

type Rows = Record<'ids' | 'labels', ArrayLike<number>[]> & {sequenceIds?: ArrayLike<number>[]};

export async function benchPacking(): Promise<void> {
  const text = await readFile(new URL('../models/data/tinyshakespeare.txt', import.meta.url), 'utf8');
  const tokenizer = characterTokenizer(text);
  const speeches = text.split('\n\n').map((speech) => [...tokenizer.encode(speech)]);
  const random = seededRandom(1);
  const documents = Array.from({length: DOCUMENTS}, () => speeches[Math.floor(random() * speeches.length)]);
  const labels = documents.reduce((sum, {length}) => sum + length - 1, 0);
  const longest = Math.max(...documents.map(({length}) => length - 1));
  console.log(
    `${DOCUMENTS} speeches of ${labels} characters, mean ${(labels / DOCUMENTS).toFixed(0)}, longest ${longest}; ` +
      `rows of ${LENGTH} packed, ${ROWS} rows a batch, on ${tf.getBackend()}`,
  );
  const ways: Record<string, Rows[]> = {
    packed: inBatches(packDocuments(documents, {length: LENGTH})),
    'padded to the longest of the batch': padded(documents),
    'padded to the longest of all': padded(documents, longest),
  };
  for (const [name, mixer] of Object.entries(mixers)) {
    const model = mambaLM({vocabSize: tokenizer.vocabSize, ...sizes, ...mixer}, {seed: 1});
    const fit = trainer(model, {optimizer: adamW({learningRate: 1e-3})});
    const best: Record<string, number> = {};
    for (let round = 0; round < 3; round++) {
      for (const [way, batches] of Object.entries(ways)) {
        const start = performance.now();
        await fit.fit(dataset(batches), {steps: fit.step + batches.length, reportEvery: 1e9});
        best[way] = Math.min(best[way] ?? Infinity, performance.now() - start);
      }
    }
    console.log(name);
    printTable([
      ['', 'positions', 'tokens/s', 'packed is … times as fast'],
      ...Object.entries(best).map(([way, ms]) => {
        const positions = ways[way].flatMap(({ids}) => ids).reduce((sum, {length}) => sum + length, 0);
        return [way, String(positions), ((1000 * labels) / ms).toFixed(0), (ms / best.packed).toFixed(1)];
      }),
    ]);
  }
}

function inBatches({ids, labels, sequenceIds}: Rows): Rows[] {
  return Array.from({length: Math.ceil(ids.length / ROWS)}, (_, i) => {
    const part = (rows: ArrayLike<number>[]) => rows.slice(ROWS * i, ROWS * (i + 1));
    return {ids: part(ids), labels: part(labels), sequenceIds: sequenceIds && part(sequenceIds)};
  });
}

function padded(documents: number[][], length?: number): Rows[] {
  return inBatches({
    ids: documents.map((tokens) => tokens.slice(0, -1)),
    labels: documents.map((tokens) => tokens.slice(1)),
  }).map(({ids, labels}) => {
    const width = length ?? Math.max(...ids.map((row) => row.length));
    const fill = (rows: ArrayLike<number>[], value: number) =>
      rows.map((row) => [...Array.from(row), ...Array<number>(width - row.length).fill(value)]);
    return {ids: fill(ids, 0), labels: fill(labels, -100)};
  });
}

function dataset(batches: Rows[]) {
  const tensor = (rows: ArrayLike<number>[]) =>
    tf.tensor2d(
      rows.map((row) => Array.from(row)),
      undefined,
      'int32',
    );
  return {
    iterator: async () => {
      let i = 0;
      return {
        next: async (): Promise<IteratorResult<Batch>> => {
          if (i === batches.length) return {done: true, value: undefined};
          const {ids, labels, sequenceIds} = batches[i++];
          const value = {xs: tensor(ids), ys: tensor(labels), ...(sequenceIds && {sequenceIds: tensor(sequenceIds)})};
          return {done: false, value};
        },
      };
    },
  };
}
