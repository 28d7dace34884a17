/** What the speaker is and how it is trained. */
import {vocabSize} from './tokens';

export const model = {vocabSize, dModel: 64, nLayer: 4, dState: 16};

export const recipe = {
  seed: 1,
  steps: 6000,
  batchSize: 6,
  /** Tokens in a row at most: 0.64 s. */
  longest: 5120,
  peak: 4e-3,
  warmupSteps: 100,
  weightDecay: 0.05,
  emaDecay: 0.999,
  every: 50,
};
