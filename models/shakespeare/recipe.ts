/** What the model is and how it is trained; the numbers are those that reach the loss of the card in a few minutes on wasm. */

export const model = {dModel: 64, nLayer: 2, dState: 8};

export const data = {
  /** The part at the end of the text that is kept for the measurement. */
  heldOut: 0.1,
  /** Long rows: the cost is linear, and every character sees what came before. */
  evaluation: {batchSize: 4, length: 1024},
};

export const recipe = {
  seed: 1,
  steps: 1500,
  batchSize: 16,
  length: 96,
  peak: 8e-3,
  /** Part of the steps. */
  warmup: 0.05,
  floor: 1e-4,
  weightDecay: 0.1,
  clipNorm: 1,
  checkpointEvery: 250,
  sample: {prompt: 'ROMEO:\n', shown: 400, counted: 2000, temperature: 0.7},
};
