/** What the writer is and how it is trained. */

export const sizes = {dModel: 160, nLayer: 7};

export const recipe = {
  seed: 1,
  steps: 5000,
  batchSize: 16,
  length: 256,
  peak: 4e-3,
  warmupSteps: 100,
  /** Of a further round. */
  further: {peak: 1.5e-3, warmupSteps: 20},
  weightDecay: 0.1,
  every: 100,
};

/** As the main job measures. */
export const evaluation = {batchSize: 4, length: 1024};
