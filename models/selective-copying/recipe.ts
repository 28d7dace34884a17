/** What the models are and how they are trained: all alike. */
import {vocabSize} from './data';

/** As in the paper. */
export const sizes = {vocabSize, dModel: 64, nLayer: 2};

export const recipe = {
  seed: 1,
  /** The paper's are 4096 and 16, by --length and --tokens. */
  length: 64,
  tokens: 8,
  steps: 3000,
  /** At each of the shorter lengths 64, 128, 256, … of a longer one, the most steps, and the loss below which it goes on to the next. */
  shorter: {steps: 6000, until: 0.05},
  batchSize: 32,
  peak: 4e-3,
  warmupSteps: 200,
  weightDecay: 0.1,
  every: 250,
};
