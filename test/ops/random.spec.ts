/** Random shapes and flags: every op against its float64 reference, forward and backward. */
import * as fc from 'fast-check';
import {backendSettings, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import {compareWithReference, isWellConditioned} from './opUnderTest';

describe('random shapes and flags', () => {
  for (const op of opsUnderTest) {
    it(`of ${op.op} agree with the reference, forward and backward`, async () => {
      const numRuns = backendSettings().randomCases;
      const property = fc.asyncProperty(op.arbitrary, async (params) => {
        const testCase = op.build(params);
        fc.pre(isWellConditioned(op, testCase, randomSeed));
        const wrong = await compareWithReference(op, testCase, randomSeed);
        if (wrong.length > 0) {
          throw new Error(wrong.join('; '));
        }
      });
      await expectAsync(fc.assert(property, {numRuns, seed: randomSeed})).toBeResolved();
    });
  }
});
