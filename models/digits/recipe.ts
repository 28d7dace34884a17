/** How all of them are trained. */
export const recipe = {
  seed: 1,
  steps: 6000,
  batchSize: 16,
  peak: 3e-3,
  warmupSteps: 100,
  weightDecay: 0.05,
  labelSmoothing: 0.05,
  /** Samples, the most of a recording in training: those above 1.2 s are twenty. */
  longest: 9600,
  every: 100,
};
