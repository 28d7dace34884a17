/** How all are trained: on the same bytes, in the same order for one seed. */
export const recipe = {
  seed: 1,
  seeds: 2,
  /** 9.8 million bytes, about two and a half times the text. */
  steps: 1200,
  batchSize: 32,
  length: 256,
  warmupSteps: 100,
  weightDecay: 0.1,
  every: 60,
};

export const heldOut = 0.1;
