/**
 * A worker that trains a small language model, and prints its weights. Labels are left out row by row in different numbers, so that the
 * ranks' shares do not weigh the same.
 *
 *     training.ts alone                 in one process: on whole batches, and on the shares of 2, 3 and 4 ranks, added up
 *     training.ts together [<folder>]   as a rank of a cluster; with a folder, from a checkpoint there, or until rank 1 aborts at step 25
 */
import {createHash} from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import {recipe} from '../../models/shakespeare/recipe';
import type {BatchDataset, Cluster, FitResult, TokenBatch, TrainingStore} from '../../src/node';
import {adamW, folderCheckpoints, joinCluster, tokenWindows, trainer, warmupCosine} from '../../src/node';
import {smallLM, smallText} from '../training/models';

export interface Trained {
  ended: FitResult['ended'];
  step: number;
  losses: number[];
  /** Steps whose gradient was longer than is allowed. */
  clipped: number;
  weights: number[][];
  digest: string;
  /** Tensors after each step, one number if they were always the same. */
  tensors: number[];
}

/** So few rows that the ranks have different numbers of them, and one of 4 has none. */
const rows = 3;
const length = 24;
const steps = 50;

/** Batches of `rows`, of whose row i the first 8i labels are left out; in `parts`, one after the other, if asked for. */
function dataset(parts: number): BatchDataset<TokenBatch> {
  const whole = tokenWindows(smallText, {batchSize: rows, length, seed: 3});
  return {
    iterator: async (state) => {
      const iterator = await whole.iterator(state);
      const waiting: TokenBatch[] = [];
      return {
        state: () => iterator.state(),
        next: async () => {
          if (waiting.length === 0) {
            const {xs, ys} = (await iterator.next()).value as TokenBatch;
            const masked = tf.tidy(() => {
              const column = tf.range(0, length).reshape([1, length]);
              const first = tf.range(0, 8 * rows, 8).reshape([rows, 1]);
              return tf.where<tf.Tensor2D>(column.less(first), tf.fill([rows, length], -100, 'int32'), ys);
            });
            for (let part = 0; part < parts; part++) {
              const begin = Math.floor((rows * part) / parts);
              const count = Math.floor((rows * (part + 1)) / parts) - begin;
              if (count > 0) waiting.push({xs: xs.slice(begin, count), ys: masked.slice(begin, count)});
            }
            tf.dispose([xs, ys, masked]);
          }
          return {done: false, value: waiting.shift()!};
        },
      };
    },
  };
}

async function train(parts: number, cluster?: Cluster, target?: TrainingStore): Promise<Trained> {
  const model = smallLM();
  // Other weights than rank 0's: it must be rank 0's that all start from.
  if (cluster && cluster.rank > 0) tf.tidy(() => model.setWeights(model.getWeights().map((w) => w.mul(1.5))));
  const {peak, floor, weightDecay} = recipe;
  const clipNorm = 0.5;
  let clipped = 0;
  const learningRate = warmupCosine({peak: peak / 2, warmupSteps: 5, totalSteps: steps, floor});
  const optimizer = adamW({learningRate, weightDecay, clipNorm});
  const losses: number[] = [];
  const tensors = new Set<number>();
  const controller = new AbortController();
  const {ended, step} = await trainer(model, {optimizer, cluster, gradientAccumulation: Math.min(parts, rows)}).fit(
    dataset(parts),
    {
      steps,
      checkpoint: target && {target},
      signal: controller.signal,
      callbacks: {
        onStep: (report) => {
          losses.push(report.loss);
          if (report.gradientNorm > clipNorm) clipped++;
          tensors.add(tf.memory().numTensors);
          if (target && cluster!.size === 2 && cluster!.rank === 1 && report.step === 25) controller.abort();
        },
      },
    },
  );
  const values = model.getWeights().map((weight) => weight.dataSync());
  const hash = createHash('sha256');
  for (const value of values) hash.update(value);
  const weights = values.map((value) => Array.from(value));
  return {ended, step, losses, clipped, weights, digest: hash.digest('hex'), tensors: [...tensors]};
}

async function trainTogether(folder?: string): Promise<Trained> {
  const cluster = await joinCluster();
  const elsewhere: TrainingStore = {
    save: () => Promise.reject(new Error('only rank 0 writes')),
    load: () => Promise.reject(new Error('only rank 0 reads')),
  };
  const target = cluster.rank === 0 ? folder && folderCheckpoints(folder) : elsewhere;
  const result = await train(1, cluster, folder ? (target as TrainingStore) : undefined);
  await cluster.leave();
  return result;
}

const [mode, folder] = process.argv.slice(2);
let found: Trained | Trained[];
if (mode === 'alone') {
  found = [];
  for (const parts of [1, 2, 3, 4]) found.push(await train(parts));
} else {
  found = await trainTogether(folder);
}
process.stdout.write(`${JSON.stringify(found)}\n`);
