/** How the forecasts are learned. */
export const recipe = {
  seed: 1,
  seeds: 5,
  steps: 1000,
  batchSize: 16,
  /** Hours in a stretch: ten days. */
  length: 240,
  peak: 3e-3,
  warmupSteps: 50,
  weightDecay: 0.1,
  every: 100,
};
