/** Every combination of flags and optional inputs, forward and backward, by each backend's own kernels and by the composed ones. */
import {describeComposed} from '../support/composedKernels';
import {randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import type {OpUnderTest} from './opUnderTest';
import {compareWithReference} from './opUnderTest';

async function wrongCombinations(op: OpUnderTest): Promise<string[]> {
  const wrong: string[] = [];
  for (const params of op.combinations) {
    const texts = await compareWithReference(op, op.build(params), randomSeed);
    wrong.push(...texts.map((text) => `${text} with ${JSON.stringify(params)}`));
  }
  return wrong;
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
      expect(await wrongCombinations(op)).toEqual([]);
    });
  }
});
