/** What the tests demand of each backend: the one table of tolerances, and how many random cases are tried. */
import * as tf from '@tensorflow/tfjs';

export interface BackendSettings {
  /** Largest allowed max|error| / max|reference| of an output or a state. */
  output: number;
  /** The same for a gradient. */
  gradient: number;
  /** Random cases per op. */
  randomCases: number;
  /** The longest sequence that is taken step by step, forward and backward. */
  steps: number;
  /** Whether out-of-range values (labels) are refused; a GPU backend could only look at them by waiting for the device. */
  refusesValues: boolean;
}

const table: Record<string, BackendSettings> = {
  cpu: {output: 1e-5, gradient: 2e-5, randomCases: 500, steps: 4097, refusesValues: true},
  wasm: {output: 1e-5, gradient: 2e-5, randomCases: 500, steps: 4097, refusesValues: true},
  tensorflow: {output: 1e-5, gradient: 2e-5, randomCases: 2000, steps: 4097, refusesValues: true},
  // exp on a GPU is not correctly rounded. A GPU in software compiles for most of the time: more shapes are tried by hand, `--random-cases`.
  webgpu: {output: 2e-5, gradient: 5e-5, randomCases: 100, steps: 4097, refusesValues: false},
  // A step and its gradient are a hundred draws, most of them TensorFlow.js's: minutes for 4097 of them on a GPU in software.
  webgl: {output: 2e-5, gradient: 5e-5, randomCases: 50, steps: 1134, refusesValues: false},
};

/** A browser shows that the kernels work there too; the full sweeps are Node's. */
const randomCasesInBrowser = 50;

/** The settings of the backend the specs run on. */
export function backendSettings(): BackendSettings {
  const name = tf.getBackend();
  const settings = table[name];
  if (!settings) {
    throw new Error(`test/support/settings.ts has no tolerances for backend ${name}`);
  }
  const onGpu = (tf.backend() as {isUsingGpuDevice?: boolean}).isUsingGpuDevice === true;
  const refusesValues = settings.refusesValues && !onGpu;
  const asked = process.env['TFJS_MAMBA_RANDOM_CASES'];
  if (asked !== undefined) return {...settings, refusesValues, randomCases: Number(asked)};
  const randomCases = typeof document === 'undefined' ? settings.randomCases : randomCasesInBrowser;
  return {...settings, refusesValues, randomCases};
}

/** How many random cases a spec beside the sweeps draws: `most`, or fewer where the sweeps are small. */
export const draws = (most: number): number => Math.min(most, Math.ceil(backendSettings().randomCases / 10));

/** Every random choice of the tests starts here, so that a run repeats. Another number is another sweep. */
export const randomSeed = 20231201;
