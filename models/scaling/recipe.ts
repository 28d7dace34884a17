/** How all are trained: on the same bytes, in the same order for one seed. */
export const recipe = {
  seed: 1,
  seeds: 2,
  /** 2.0 million bytes, half of the text: none is seen more than about once. */
  steps: 1000,
  batchSize: 8,
  length: 256,
  warmupSteps: 60,
  weightDecay: 0.1,
  every: 50,
};

export const heldOut = 0.1;
