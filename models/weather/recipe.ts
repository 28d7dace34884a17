/** How the forecasts are learned. */
export const recipe = {
  seed: 1,
  seeds: 3,
  steps: 1000,
  batchSize: 32,
  /** Hours in a stretch: five days. */
  length: 120,
  peak: 3e-3,
  warmupSteps: 50,
  weightDecay: 0.1,
  every: 100,
};
