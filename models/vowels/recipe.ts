/** How the classifiers of series are trained, each as often as it has seeds. */
import type {SetName} from './data';

const common = {seed: 1, seeds: 5, warmupSteps: 20, weightDecay: 0.05, every: 50};

export const recipes = {
  vowels: {...common, steps: 500, batchSize: 27, peak: 1e-2},
  acsf1: {...common, steps: 400, batchSize: 20, peak: 5e-3},
} satisfies Record<SetName, object>;
