/** What the model of DNA is, what it trains on, and what it never sees. */
import type {Region} from './bases';

export const sizes = {vocabSize: 4, dModel: 128, nLayer: 4};

export const recipe = {
  seed: 1,
  steps: 260,
  batchSize: 16,
  length: 2048,
  peak: 2e-3,
  warmupSteps: 150,
  weightDecay: 0.1,
  emaDecay: 0.998,
  every: 100,
};

/** Of each file: its regions as shares of the sequence. A model is chosen by `validation` and measured on `heldOut`. */
export const regions: Record<string, Record<'training' | 'validation' | 'heldOut', Region[]>> = {
  'ecoli.fa': {
    training: [
      [0, 0.2],
      [0.22, 0.45],
      [0.5, 0.95],
    ],
    validation: [[0.2, 0.22]],
    heldOut: [
      [0.45, 0.5],
      [0.95, 1],
    ],
  },
  'lambda.fa': {training: [[0, 0.8]], validation: [], heldOut: [[0.8, 1]]},
};

/** Of the Markov models. */
export const orders = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
export const alphas = [1, 1 / 4, 1 / 16];
export const weights = [64, 256, 1024, 4096];
