/** What goes wrong on rank 0 alone ends the others too, at once and with the reason: they would wait for it until their patience is over. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Failing} from './failing';
import {runCluster} from './processes';

describe('what only one of a cluster can know', () => {
  let folder: string;
  let found: Failing[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-failing-'));
    found = await runCluster<Failing>('failing.ts', 2, [folder]);
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  it('ends all with its reason, a folder that cannot be written to before the first step', () => {
    const reasons: Record<string, [string, number]> = {
      'no place': ['folderCheckpoints: folder must be a folder, or a place for one, but at ', 0],
      'no reading': ['the disk is broken', 0],
      'no room': ['the disk is full', 2],
      'another model': ['trainer: the checkpoint is of another model: ', 0],
      'another optimizer': ['trainer: the checkpoint is of another optimizer: of AdamW, but this one is Adam', 0],
    };
    for (const [rank, {errors}] of found.entries()) {
      expect(Object.keys(errors)).toEqual(Object.keys(reasons));
      for (const [what, [reason, steps]] of Object.entries(reasons)) {
        const [message, made] = errors[what];
        // All read the same checkpoint.
        const told = rank === 0 || what.startsWith('another') ? reason : `worker 0 has failed: ${reason}`;
        expect(message.startsWith(told)).withContext(`${rank}: ${message}`).toBeTrue();
        expect(made).withContext(what).toBe(steps);
      }
    }
  });

  it('is the same validation loss for all, by which they stop together', () => {
    const [first, second] = found.map(({validated}) => validated);
    expect(second).toEqual(first);
    expect(first.validation!.loss).toBeGreaterThan(0);
  });
});
