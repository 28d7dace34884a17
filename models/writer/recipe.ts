/** What the writer is and how it is trained. */

export const sizes = {dModel: 192, nLayer: 7};

export const recipe = {
  seed: 1,
  steps: 6000,
  batchSize: 32,
  length: 512,
  peak: 3e-3,
  warmupSteps: 150,
  weightDecay: 0.1,
  emaDecay: 0.998,
  every: 250,
};

/** As the main job measures. */
export const evaluation = {batchSize: 4, length: 1024};
