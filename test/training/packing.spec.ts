/** Packing documents into rows, as batches, and into the trainer. */
import * as tf from '@tensorflow/tfjs';
import {packDocuments, packedBatches} from '../../src/training/packing';
import {trainer} from '../../src/training/trainer';
import {integer, seededRandom} from '../support/arrays';
import {numbers, smallLM} from './models';
import {optimizer} from './runs';

/** Documents of 0 … 40 tokens, which tell where they are from. */
function randomDocuments(count: number): number[][] {
  const random = seededRandom(11);
  return Array.from({length: count}, (_, i) => Array.from({length: integer(random, 0, 40)}, (_, t) => 100 * i + t));
}

describe('packDocuments', () => {
  it('puts every pair of a token and the next into a row once, each document in one piece', () => {
    const documents = randomDocuments(60);
    const length = 24;
    const {ids, labels, sequenceIds} = packDocuments(documents, {length});
    const found: string[] = [];
    ids.forEach((row, r) => {
      expect([row.length, labels[r].length, sequenceIds[r].length]).toEqual([length, length, length]);
      for (let t = 0; t < length; t++) {
        const id = sequenceIds[r][t];
        if (id === -1) {
          expect([row[t], labels[r][t]]).toEqual([0, -100]);
          expect([...sequenceIds[r].subarray(t)].every((other) => other === -1)).toBeTrue();
          continue;
        }
        found.push(`${row[t]}>${labels[r][t]}`);
        if (sequenceIds[r][t + 1] === id) expect(row[t + 1]).toBe(labels[r][t]);
      }
    });
    const pairs = documents.flatMap((tokens) => tokens.slice(1).map((next, t) => `${tokens[t]}>${next}`));
    expect(found.sort()).toEqual(pairs.sort());
    expect((ids.length * length) / pairs.length).toBeLessThan(1.05); // hardly a position is padding
  });

  it('cuts a document that is longer than a row, and leaves out what has nothing to predict', () => {
    const {ids, labels, sequenceIds} = packDocuments([[1], [], [1, 2, 3, 4, 5, 6]], {length: 3});
    expect(ids.map((row) => [...row])).toEqual([
      [1, 2, 3],
      [4, 5, 0],
    ]);
    expect(labels.map((row) => [...row])).toEqual([
      [2, 3, 4],
      [5, 6, -100],
    ]);
    expect([...sequenceIds[1]]).toEqual([0, 0, -1]);
  });

  it('says what is wrong', () => {
    const wrong: [unknown, unknown, string][] = [
      [[[1, 2]], {}, 'packDocuments: length must be a positive whole number, but is undefined'],
      [[[1]], {length: 4}, 'packDocuments: documents must hold one of at least two tokens, but none does'],
      ['text', {length: 4}, 'packDocuments: documents must be a list of lists of token ids, but is "text"'],
      [[[1, 2], 'b'], {length: 4}, 'packDocuments: documents[1] must be an array of token ids, but is "b"'],
      [[[1, 1.5]], {length: 4}, 'packDocuments: tokens must hold whole numbers of 32 bits, but has 1.5 at 1'],
    ];
    for (const [documents, options, message] of wrong) {
      expect(() => packDocuments(documents as number[][], options as {length: number})).toThrowError(message);
    }
  });
});

describe('packedBatches', () => {
  const documents = randomDocuments(30);

  async function taken(iterator: Awaited<ReturnType<ReturnType<typeof packedBatches>['iterator']>>, count: number) {
    const batches: number[][][] = [];
    for (let i = 0; i < count; i++) {
      const {done, value} = await iterator.next();
      if (done) break;
      batches.push(await numbers([value.xs, value.ys, value.sequenceIds]));
      tf.dispose([value.xs, value.ys, value.sequenceIds]);
    }
    return batches;
  }

  it('gives all rows in every pass, in another order each time, or once in order', async () => {
    const {ids} = packDocuments(documents, {length: 50});
    const sorted = (rows: number[][]) => rows.map((row) => row.join()).sort();
    const rowsOf = (batches: number[][][]) =>
      batches.flatMap(([xs]) => Array.from({length: xs.length / 50}, (_, r) => xs.slice(50 * r, 50 * (r + 1))));
    const data = packedBatches(documents, {length: 50, batchSize: 4, seed: 2});
    const both = await taken(await data.iterator(), 2 * data.size);
    const [first, second] = [rowsOf(both.slice(0, data.size)), rowsOf(both.slice(data.size))];
    const all = sorted(ids.map((row) => [...row]));
    expect([sorted(first), sorted(second)]).toEqual([all, all]);
    expect(first).not.toEqual(second);
    const once = packedBatches(documents, {length: 50, batchSize: 4, order: 'sequential'});
    expect(rowsOf(await taken(await once.iterator(), 100))).toEqual(ids.map((row) => [...row]));
  });

  it('goes on from a saved position, in whatever pass', async () => {
    for (const order of ['random', 'sequential'] as const) {
      const data = packedBatches(documents, {length: 50, batchSize: 4, order});
      const whole = await data.iterator();
      await taken(whole, order === 'random' ? data.size + 1 : 1);
      const position = whole.state();
      const rest = await taken(whole, data.size + 2);
      expect(await taken(await data.iterator(JSON.parse(JSON.stringify(position))), data.size + 2)).toEqual(rest);
      for (const [name, other] of Object.entries({length: 40, batchSize: 3})) {
        const otherwise = packedBatches(documents, {length: 50, batchSize: 4, order, [name]: other});
        const was = name === 'length' ? 50 : 4;
        await expectAsync(otherwise.iterator(position)).toBeRejectedWithError(
          new RegExp(`^packedBatches: the position is of data with ${name} ${was}, but here it is ${other};`),
        );
      }
    }
  });

  it('trains on documents: the loss is the mean over their labels, each as if alone', async () => {
    const some = [
      [1, 2, 3, 4, 5, 6, 0],
      [3, 1, 4],
      [0, 5, 0, 5],
    ];
    const fit = trainer(smallLM(), {optimizer: optimizer()});
    const alone = await Promise.all(
      some.map(async (tokens) => {
        const {loss} = await fit.evaluate(packedBatches([tokens], {length: 12, batchSize: 1, order: 'sequential'}));
        return loss * (tokens.length - 1);
      }),
    );
    const labels = some.reduce((sum, {length}) => sum + length - 1, 0);
    const expected = alone.reduce((sum, loss) => sum + loss) / labels;
    const together = packedBatches(some, {length: 12, batchSize: 1});
    const before = tf.memory().numTensors;
    const {report} = await fit.fit(together, {steps: 1});
    expect(report!.loss).toBeCloseTo(expected, 5);
    expect(together.size).toBe(1);
    expect(tf.memory().numTensors - before).toBe(2 * fit.model.weights.length); // the moments
  });
});
