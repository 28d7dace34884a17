/** What the speaker is and how it is trained. */
import {vocabSize} from './tokens';

export const model = {vocabSize, dModel: 128, nLayer: 6, dState: 16};

export const recipe = {
  seed: 1,
  steps: 20000,
  batchSize: 8,
  /** Tokens in a row at most: 0.64 s. */
  longest: 5120,
  peak: 3e-3,
  warmupSteps: 100,
  weightDecay: 0.05,
  emaDecay: 0.999,
  every: 50,
};
