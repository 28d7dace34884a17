/** More states and taps than models usually have: every backend takes them, by itself in another form where its kernels end. */
import {randomSeed} from '../support/settings';
import {sizedCases} from './cases/sizes';
import {compareWithReference} from './opUnderTest';

describe('an op with many states or taps', () => {
  for (const {op, sizes, testCase} of sizedCases()) {
    it(`agrees with the reference, forward and backward: ${op.op} ${sizes}`, async () => {
      expect(await compareWithReference(op, testCase, randomSeed)).toEqual([]);
    });
  }
});
