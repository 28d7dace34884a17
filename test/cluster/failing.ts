/**
 * A worker of a cluster in which something fails on rank 0 alone, or is another on it, and that prints how that ends on this rank.
 *
 *     failing.ts <folder>     with checkpoints in the folder
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type {FitOptions, FitResult, TrainerOptions, TrainingStore} from '../../src/node';
import {adamW, folderCheckpoints, joinCluster, mambaLM, memoryCheckpoints, tokenWindows, trainer} from '../../src/node';
import {smallLM, smallText} from '../training/models';

export interface Failing {
  /** By what is wrong, the error and the steps made until then. */
  errors: Record<string, [message: string, steps: number]>;
  /** Of a run whose ranks validate on different text. */
  validated: Pick<FitResult, 'ended' | 'step' | 'best' | 'validation'>;
}

const [folder] = process.argv.slice(2);
const cluster = await joinCluster();
const isFirst = cluster.rank === 0;
const data = () => tokenWindows(smallText, {batchSize: 2, length: 8, seed: 3});

let steps = 0;
function fit(options: Partial<FitOptions>, model = smallLM(), how: Partial<TrainerOptions> = {}): Promise<FitResult> {
  steps = 0;
  const optimizer = adamW({learningRate: 1e-2});
  return trainer(model, {optimizer, cluster, ...how}).fit(data(), {
    steps: 4,
    verbose: 0,
    callbacks: {onStep: () => void steps++},
    ...options,
  });
}

const errors: Failing['errors'] = {};
async function failing(
  what: string,
  target: TrainingStore,
  model = smallLM(),
  how: Partial<TrainerOptions> = {},
): Promise<void> {
  await fit({checkpoint: {target, every: 2}}, model, how).then(
    () => (errors[what] = ['none', steps]),
    (error: Error) => (errors[what] = [error.message, steps]),
  );
}

const occupied = join(folder, 'occupied');
if (isFirst) {
  mkdirSync(occupied);
  writeFileSync(join(occupied, 'a-file'), '');
}
const good = memoryCheckpoints();
const full = () => Promise.reject(new Error('the disk is full'));
await failing('no place', folderCheckpoints(join(occupied, 'a-file', 'run')));
await failing('no reading', {...good, load: () => Promise.reject(new Error('the disk is broken'))});
await failing('no room', {...good, save: full});
await fit({steps: 2, checkpoint: {target: good}}, undefined, {shardOptimizer: true});
await failing('another model', good, mambaLM({vocabSize: 7, dModel: 4, nLayer: 2, dState: 4}));
await failing('another optimizer', good, undefined, {optimizer: tf.train.adam(1e-2)});

// One rank's losses fall and fall, the other's rise: patience and checkpoints of the best would part them.
const other = Array.from(smallText, (token) => (isFirst ? token : 6 - token));
const dataset = tokenWindows(other, {batchSize: 2, length: 8, order: 'sequential'});
const {ended, step, best, validation} = await fit({
  steps: 8,
  validation: {dataset, every: 1, patience: 2, batches: 2, best: memoryCheckpoints()},
});
await cluster.leave();
const found: Failing = {errors, validated: {ended, step, best, validation}};
process.stdout.write(`${JSON.stringify(found)}\n`);
