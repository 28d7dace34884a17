/** What the model is and how it is trained. */
import type {MambaConfig} from '../../src/node';
import {vocabSize} from './data';

/** Tokens of the longest sequences in training. */
export const trainedLength = 256;

export const sizes = {vocabSize, dModel: 64, nLayer: 2};

/**
 * Two blocks of width 64, as in the paper. What differs is how the step sizes start: from 1e-6 to 0.1 in place of 1e-3 to 0.1. A channel
 * remembers for about 1/dt positions, and what is asked for here lies up to a million back.
 */
export const mamba: MambaConfig = {...sizes, dtMin: 1e-6, dtInitFloor: 1e-7};

/**
 * The first block has only to see what stands side by side; what it remembers for longer differs from one length to another. From 1 up, a
 * state has forgotten most at the next token, and training is unlikely to find a use for it.
 */
export const firstBlock = {dtMin: 1, dtMax: 10, dtInitFloor: 1e-4};

export const recipe = {
  seed: 1,
  /** Short sequences first: the pattern is found on 16 tokens in some hundred steps. */
  warmUp: [
    {length: 16, steps: 400},
    {length: 32, steps: 200},
    {length: 64, steps: 200},
    {length: 128, steps: 200},
  ],
  steps: 600,
  /** Mamba's last steps (`forgetting.ts`); the Transformer gets as many of the others. */
  forgetting: {lengths: [256, 16, 256, 64], steps: 600, rate: 2e-3, price: 1e-3},
  batchSize: 16,
  peak: 2e-3,
  warmupSteps: 200,
  weightDecay: 0.1,
  every: 200,
};
