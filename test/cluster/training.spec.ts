/** Training by several processes: the same weights as by one, whatever their number, also after they have stopped and others go on. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {difference} from './difference';
import {runCluster, startWorker} from './processes';
import type {Trained} from './training';

describe('training by a cluster', () => {
  let alone: Trained[];

  beforeAll(async () => {
    alone = (await startWorker('training.ts', undefined, ['alone']).result) as Trained[];
  });

  for (const size of [2, 3, 4]) {
    it(`of ${size} gives the weights of one process on the joined batches`, async () => {
      const ranks = await runCluster<Trained>('training.ts', size, ['together']);
      const [whole] = alone;
      const shares = alone[size - 1];
      for (const {digest, losses, tensors, step, ended} of ranks) {
        expect(digest).withContext('the same bits as rank 0').toBe(ranks[0].digest);
        expect(losses).toEqual(ranks[0].losses);
        expect(tensors.length).withContext(`tensors ${tensors.join()}`).toBe(1);
        expect([step, ended]).toEqual([50, 'steps']);
      }
      if (size === 2) expect(ranks[0].digest).withContext('the bits of one process').toBe(shares.digest);
      expect(difference(ranks[0], shares)).toBeLessThan(1e-6);
      expect(difference(ranks[0], whole)).toBeLessThan(1e-6);
      expect(whole.clipped).withContext('steps that were clipped').toBeGreaterThan(5);
      expect(whole.losses.at(-1)).toBeLessThan(0.8 * whole.losses[0]);
    });
  }

  it('goes on from the checkpoint of rank 0 with another number of ranks', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-cluster-'));
    try {
      for (const {step, ended} of await runCluster<Trained>('training.ts', 2, ['together', folder])) {
        expect([step, ended]).toEqual([25, 'aborted']);
      }
      const ranks = await runCluster<Trained>('training.ts', 3, ['together', folder]);
      for (const {step, losses, digest} of ranks) {
        expect([step, losses.length]).toEqual([50, 25]);
        expect(digest).toBe(ranks[0].digest);
      }
      expect(difference(ranks[0], alone[2])).toBeLessThan(1e-6);
    } finally {
      rmSync(folder, {recursive: true});
    }
  });
});
