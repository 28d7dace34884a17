/** The numbers of the scan and of its single step: the parts of their cases that are alike. */
import type {Array64, Random} from '../../support/arrays';
import {fill, normal, uniform} from '../../support/arrays';

/** How fast the state decays. */
export const decays = ['usual', 's4d', 'slow', 'strong'] as const;
export type Decay = (typeof decays)[number];

/** A [D,N], negative. */
export function stateMatrix(random: Random, channels: number, dState: number, decay: Decay): Array64 {
  const shape = [channels, dState];
  switch (decay) {
    case 'usual':
      return uniform(random, shape, -1, -0.05);
    case 's4d': // Mamba's own initialisation
      return fill(shape, (i) => -((i % dState) + 1));
    case 'slow':
      return uniform(random, shape, -1e-3, -1e-4);
    case 'strong': // exp(δA) underflows in float32
      return fill(shape, (i) => -8 * ((i % dState) + 1));
  }
}

/** Step sizes: without softplus they must be positive to be steps, with it they run over both of its ends. */
export function stepSizes(random: Random, shape: readonly number[], deltaSoftplus: boolean): Array64 {
  return deltaSoftplus ? normal(random, shape, 2) : uniform(random, shape, 0.01, 0.8);
}

/** Added to the step sizes, which it leaves positive where they must be. */
export function stepBias(random: Random, channels: number, deltaSoftplus: boolean): Array64 {
  return deltaSoftplus ? normal(random, [channels]) : uniform(random, [channels], 0, 0.3);
}
