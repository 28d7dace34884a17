/** A backend without kernels of its own computes all the same, and says once that it is slower. */
import * as tf from '@tensorflow/tfjs';
import {defineListKernel} from '../../src/ops/kernel';
import {randomSeed} from '../support/settings';
import {kernelNames} from '../support/composedKernels';
import {scanCase} from './cases/selectiveScan';
import {anyOp, evaluateOp, projectionsOf} from './opUnderTest';
import {mismatches} from '../support/closeness';

describe('a backend without kernels of its own', () => {
  const name = 'kernelless';
  let current: string;

  beforeEach(async () => {
    current = tf.getBackend();
    tf.registerBackend(name, tf.findBackendFactory('cpu'), -1);
    tf.copyRegisteredKernels('cpu', name);
    kernelNames.filter((kernel) => tf.getKernel(kernel, name)).forEach((kernel) => tf.unregisterKernel(kernel, name));
    await tf.setBackend(name);
  });

  afterEach(async () => {
    await tf.setBackend(current);
    tf.getKernelsForBackend(name).forEach(({kernelName}) => tf.unregisterKernel(kernelName, name));
    tf.removeBackend(name);
  });

  it('says what to import where there is not even a composed form', () => {
    const run = defineListKernel('OfNoBackend');
    expect(() => run([], {})).toThrowError(
      /^OfNoBackend: no kernel for the backend 'kernelless' is imported; import 'tfjs-mamba\/backends\/kernelless' .* 'tfjs-mamba\/backends\/composed'/,
    );
  });

  it('runs every op composed of TensorFlow.js ops, and says so once', async () => {
    expect(tf.getBackend()).toBe(name);
    const warn = spyOn(console, 'warn');
    const testCase = scanCase.build(scanCase.combinations[0]);
    const expected = scanCase.reference(testCase);
    const projections = projectionsOf(expected, randomSeed);
    for (let repeat = 0; repeat < 2; repeat++) {
      const {outputs, gradients} = await evaluateOp(anyOp(scanCase), testCase, projections);
      expect(mismatches(outputs, expected, 1e-5)).toEqual([]);
      expect(mismatches(gradients, scanCase.referenceGradient(testCase, projections), 2e-5)).toEqual([]);
    }
    // The cpu backend itself warns once in Node.
    const ours = warn.calls
      .allArgs()
      .flat()
      .filter((text) => String(text).startsWith('tfjs-mamba'));
    expect(ours).toEqual([
      jasmine.stringMatching(/: backend 'kernelless' has no SelectiveScan kernel of its own; .* slower\.$/),
    ]);
  });
});
