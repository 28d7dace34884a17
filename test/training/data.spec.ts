/** Batches of token windows: what is in them, and that their position can be saved. */
import * as tf from '@tensorflow/tfjs';
import type {BatchIterator, TokenBatch} from '../../src/training/data';
import {tokenWindows} from '../../src/training/data';

const text = Uint16Array.from({length: 40}, (_, i) => 100 + i);

interface Rows {
  xs: number[][];
  ys: number[][];
}

async function rows(iterator: BatchIterator<TokenBatch>): Promise<Rows | undefined> {
  const {done, value} = await iterator.next();
  if (done) return undefined;
  expect(value.xs.dtype).toBe('int32');
  expect(value.ys.dtype).toBe('int32');
  const result = {xs: await value.xs.array(), ys: await value.ys.array()};
  tf.dispose([value.xs, value.ys]);
  return result;
}

async function take(iterator: BatchIterator<TokenBatch>, count: number): Promise<(Rows | undefined)[]> {
  const batches = [];
  for (let i = 0; i < count; i++) batches.push(await rows(iterator));
  return batches;
}

describe('tokenWindows', () => {
  it('crops at random places, labels shifted by one', async () => {
    const iterator = await tokenWindows(text, {batchSize: 4, length: 5, seed: 3}).iterator();
    const starts = new Set<number>();
    for (const batch of await take(iterator, 200)) {
      batch!.xs.forEach((row, i) => {
        starts.add(row[0]);
        expect(row).toEqual([0, 1, 2, 3, 4].map((t) => row[0] + t));
        expect(batch!.ys[i]).toEqual(row.map((id) => id + 1));
      });
    }
    // From the first place to the last that leaves room for the labels.
    expect([...starts].sort((a, b) => a - b)).toEqual(Array.from({length: 35}, (_, i) => 100 + i));
  });

  it('crops at the only place of a text that is just long enough', async () => {
    const iterator = await tokenWindows([7, 8, 9], {batchSize: 1, length: 2}).iterator();
    expect(await rows(iterator)).toEqual({xs: [[7, 8]], ys: [[8, 9]]});
  });

  it('has every token as a label once, in order, when sequential', async () => {
    const dataset = tokenWindows(text, {batchSize: 3, length: 8, order: 'sequential'});
    expect(dataset.size).toBe(2);
    const iterator = await dataset.iterator();
    const [first, second, end] = await take(iterator, 3);
    expect(first!.xs.map((row) => row[0])).toEqual([100, 108, 116]);
    expect(second!.xs.map((row) => row[0])).toEqual([124, 132]);
    expect(end).toBeUndefined();
    const labels = [...first!.ys, ...second!.ys].flat();
    expect(labels.slice(0, 39)).toEqual([...text].slice(1));
    expect(labels.slice(39)).toEqual([-100]);
  });

  it('gives the same batches for the same seed, others for another', async () => {
    const batches = async (seed: number) =>
      take(await tokenWindows(text, {batchSize: 2, length: 6, seed}).iterator(), 5);
    expect(await batches(1)).toEqual(await batches(1));
    expect(await batches(1)).not.toEqual(await batches(2));
  });

  for (const order of ['random', 'sequential'] as const) {
    it(`goes on from a saved position (${order})`, async () => {
      const dataset = tokenWindows(text, {batchSize: 2, length: 3, order, seed: 9});
      const iterator = await dataset.iterator();
      await take(iterator, 4);
      const state = JSON.parse(JSON.stringify(iterator.state())) as never;
      const rest = await take(iterator, 4);
      expect(await take(await dataset.iterator(state), 4)).toEqual(rest);
    });
  }

  it('feeds model.fitDataset', async () => {
    const dataset = tokenWindows([0, 1, 2, 3, 0, 1, 2, 3, 0], {batchSize: 2, length: 4, order: 'sequential'});
    const model = tf.sequential({layers: [tf.layers.dense({units: 4, inputShape: [4]})]});
    model.compile({optimizer: tf.train.sgd(0.01), loss: 'meanSquaredError'});
    const history = await model.fitDataset(dataset, {epochs: 2, verbose: 0});
    expect(history.history['loss'].length).toBe(2);
  });

  const wrong: [ArrayLike<number>, object, string][] = [
    [text, {batchSize: 0, length: 4}, 'tokenWindows: batchSize must be a positive whole number, but is 0'],
    [text, {batchSize: 1, length: 2.5}, 'tokenWindows: length must be a positive whole number, but is 2.5'],
    [text, {batchSize: 1, length: 4, seed: -3}, 'tokenWindows: seed must be a whole number of 0 or more, but is -3'],
    [
      text,
      {batchSize: 1, length: 4, order: 'shuffled'},
      `tokenWindows: order must be one of 'random', 'sequential', but is "shuffled"`,
    ],
    [text, {batchSize: 1, length: 40}, 'tokenWindows: tokens must be a list of at least 41 token ids, but has 40'],
    [
      [1],
      {batchSize: 1, length: 4, order: 'sequential'},
      'tokenWindows: tokens must be a list of at least 2 token ids, but has 1',
    ],
    [
      text,
      {batch: 1, length: 4},
      'tokenWindows: unknown argument batch; expected batchSize, length, order, seed; did you mean batchSize?',
    ],
  ];
  for (const [tokens, options, message] of wrong) {
    it(`names what is wrong in ${JSON.stringify(options)}`, () => {
      expect(() => tokenWindows(tokens, options as never)).toThrowError(message);
    });
  }
});
