/** Every combination of flags and optional inputs, forward and backward, by each backend's own kernels and by the composed ones. */
import * as tf from '@tensorflow/tfjs';
import {describeComposed} from '../support/composedKernels';
import {randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import type {OpUnderTest} from './opUnderTest';
import {compareWithReference} from './opUnderTest';

async function wrongCombinations(op: OpUnderTest, combinations = op.combinations): Promise<string[]> {
  const wrong: string[] = [];
  for (const params of combinations) {
    const texts = await compareWithReference(op, op.build(params), randomSeed);
    wrong.push(...texts.map((text) => `${text} with ${JSON.stringify(params)}`));
  }
  return wrong;
}

/** Those in which two values come together for the first time: every value of a flag meets every value of every other. */
function pairwise(combinations: object[]): object[] {
  const met = new Set<string>();
  return combinations.filter((params) => {
    const values = Object.entries(params).map((entry) => JSON.stringify(entry));
    const pairs = values.flatMap((a, i) => values.slice(i + 1).map((b) => a + b));
    const isNew = pairs.some((pair) => !met.has(pair));
    pairs.forEach((pair) => met.add(pair));
    return isNew;
  });
}

describe('every combination of flags', () => {
  for (const op of opsUnderTest) {
    it(`of ${op.op} agrees with the reference, forward and backward`, async () => {
      expect(await wrongCombinations(op)).toEqual([]);
    });
  }
});

describeComposed('every combination of flags, composed of TensorFlow.js ops,', () => {
  for (const op of opsUnderTest) {
    it(`of ${op.op} agrees with the reference, forward and backward`, async () => {
      // On a GPU in software all of them take long, and they are the same ops as on cpu, wasm and tensorflow.
      const isGpu = tf.getBackend().startsWith('webg');
      expect(await wrongCombinations(op, isGpu ? pairwise(op.combinations) : op.combinations)).toEqual([]);
    });
  }
});
