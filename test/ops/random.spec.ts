/** Random shapes and flags: every op against its float64 reference, forward and backward. */
import * as fc from 'fast-check';
import {describeComposed} from '../support/composedKernels';
import {uniformShapes} from '../support/flags';
import {backendSettings, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import type {OpUnderTest} from './opUnderTest';
import {compareWithReference, isWellConditioned} from './opUnderTest';

/** Resolves if `count` random cases are right; else the error shows the smallest that is wrong. */
async function sweep(op: OpUnderTest, count: number): Promise<void> {
  const property = fc.asyncProperty(op.arbitrary, async (params) => {
    const testCase = op.build(params);
    const wrong = await compareWithReference(op, testCase, randomSeed);
    if (wrong.length > 0) {
      // Asked of the wrong ones only, as the answer takes the reference twice more.
      fc.pre(isWellConditioned(op, testCase, randomSeed));
      throw new Error(wrong.join('; '));
    }
  });
  await fc.assert(property, {numRuns: count, seed: randomSeed});
}

describe('random shapes and flags', () => {
  uniformShapes();

  for (const op of opsUnderTest) {
    it(`of ${op.op} agree with the reference, forward and backward`, async () => {
      await expectAsync(sweep(op, backendSettings().randomCases)).toBeResolved();
    });
  }
});

describeComposed('random shapes and flags, composed of TensorFlow.js ops,', () => {
  uniformShapes();
  for (const op of opsUnderTest) {
    it(`of ${op.op} agree with the reference, forward and backward`, async () => {
      // Fewer, as they are the same on every backend, and slow.
      await expectAsync(sweep(op, Math.ceil(backendSettings().randomCases / 50))).toBeResolved();
    });
  }
});
