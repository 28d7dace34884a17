/**
 * `bench -- train --backend tensorflow`, its last row: a training step of the 130m shape, 1 × 256 tokens, float32, AdamW; with all
 * activations kept and with `gradCheckpoint`, by turns. Peaks are of the tensors, by TensorFlow.js's own count, weights and moments included.
 * PyTorch beside it, where peers/README.md was followed, is not measured here yet.
 */
import * as tf from '@tensorflow/tfjs';
import type {Batch} from '../src';
import {adamW, mambaLM, trainer} from '../src';
import {printTable} from './timing';

const LENGTH = 256;
const ROUNDS = 2;

export async function benchTrain130m(): Promise<void> {
  const model = mambaLM({vocabSize: 50280, dModel: 768, nLayer: 24}, {seed: 1});
  const optimizer = adamW({learningRate: 1e-5});
  const best = new Map<boolean, number>();
  const peaks = new Map<boolean, number>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const gradCheckpoint of [false, true]) {
      const fit = trainer(model, {optimizer, gradCheckpoint});
      const start = performance.now();
      const {peakBytes} = await profiled(() => fit.fit(randomTokens(), {steps: 1, reportEvery: 1}));
      const ms = performance.now() - start;
      if (round === 0) continue; // moments are made
      best.set(gradCheckpoint, Math.min(best.get(gradCheckpoint) ?? Infinity, ms));
      peaks.set(gradCheckpoint, peakBytes);
    }
  }
  console.log(`mamba-130m shape, a step of 1×${LENGTH} tokens on ${tf.getBackend()}; PyTorch: not measured`);
  printTable([
    ['', 'seconds', 'tokens/s', 'peak of tensors, GB'],
    ...[...best].map(([gradCheckpoint, ms]) => [
      gradCheckpoint ? 'gradCheckpoint' : 'all activations kept',
      (ms / 1000).toFixed(2),
      ((1000 * LENGTH) / ms).toFixed(0),
      (peaks.get(gradCheckpoint)! / 1e9).toFixed(2),
    ]),
  ]);
}

/** TensorFlow.js's profile, of what returns no tensor. */
function profiled(work: () => Promise<unknown>): ReturnType<typeof tf.profile> {
  return tf.profile(async () => {
    await work();
    return [];
  });
}

function randomTokens() {
  return {
    iterator: async () => ({
      next: async (): Promise<IteratorResult<Batch>> => {
        const ids = (seed: number) => tf.randomUniform<tf.Rank.R2>([1, LENGTH], 0, 50277, 'int32', seed);
        return {done: false, value: {xs: ids(1), ys: ids(2)}};
      },
    }),
  };
}
