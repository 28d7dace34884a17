/** Ranks that divide sequences, or the state of the optimizer, among them: the same as one process does. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {relativeError} from '../support/closeness';
import type {Divided, Trained} from './divided';
import {gradients, steps, train} from './divided';
import {runCluster} from './processes';

const size = 3;

describe('what is divided in a cluster', () => {
  let folder: string;
  let ranks: Divided[];
  let alone: Trained;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-divided-'));
    alone = await train(steps, {});
    ranks = await runCluster<Divided>('divided.ts', size, [folder]);
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  const error = (found: number[], expected: number[]) =>
    relativeError(Float64Array.from(found), Float64Array.from(expected));
  const expectSame = (found: Trained, expected: Trained) => {
    expected.weights.forEach((weight, i) => expect(error(found.weights[i], weight)).toBeLessThan(1e-6));
    expect(error(found.losses, expected.losses)).toBeLessThan(1e-6);
  };

  for (const mixer of ['mamba1', 'mamba2']) {
    it(`gives the gradients of whole sequences through ${mixer}`, async () => {
      const whole = await gradients(mixer);
      for (const {gradients} of ranks) {
        const {loss, total, weights} = gradients[mixer];
        expect(total).toBe(4 * 45);
        expect(Math.abs(loss - whole.loss) / whole.loss).toBeLessThan(2e-6);
        for (const [name, expected] of Object.entries(whole.weights)) {
          expect(error(weights[name], expected)).withContext(name).toBeLessThan(2e-5);
        }
        expect(weights).toEqual(ranks[0].gradients[mixer].weights);
      }
    });
  }

  it('trains by stretches of the sequences as by whole ones', () => {
    for (const {sequence} of ranks) {
      expectSame(sequence, alone);
      expect(sequence.tensors.length).toBe(1);
      expect(sequence.weights).toEqual(ranks[0].sequence.weights);
    }
  });

  it('keeps a part of the moments on each rank, and all in a checkpoint', async () => {
    const {moments, ...expected} = await train(steps - 2, {});
    for (const {optimizer} of ranks) {
      expectSame(optimizer, expected);
      expect(optimizer.tensors.length).toBe(1);
      expect(optimizer.weights).toEqual(ranks[0].optimizer.weights);
    }
    expect(ranks.reduce((sum, rank) => sum + rank.moments, 0)).toBe(moments);
    for (const rank of ranks) expect(rank.moments).toBeLessThan(0.5 * moments);
    const went = await train(steps, {}, join(folder, 'optimizer'));
    expect(went.losses.length).toBe(2);
    expectSame({...went, losses: [...expected.losses, ...went.losses]}, alone);
  });

  it('tells of what does not fit before the first step', () => {
    const same = 'trainer: all workers of a cluster must be given the same, but worker';
    for (const [rank, {refused}] of ranks.entries()) {
      expect(refused).toEqual([
        `${same} 1 has another steps than worker 0`,
        `${same.replace(/worker$/, 'workers')} 1, 2 have another first batch (its data, order or seed) than worker 0`,
        `${same} 2 has another model (names and shapes of its weights) than worker 0`,
        'trainer: sequenceParallel cannot split rows of shape [1,2] over 3 workers, as they are too short',
        `send: to must be another rank of the cluster of 3, but is ${rank}`,
        [1, 2].map((i) => `${(rank + 2) % 3},${i}`).join(' '),
      ]);
    }
  });
});
