/** Makes the specs of a suite run the composed kernels, by the way a backend without kernels of its own takes. */
import * as tf from '@tensorflow/tfjs';
import {isInNodeToo} from './backend';

/** The kernels that have a composed form. */
export const kernelNames = [
  'SelectiveScan',
  'SelectiveScanGrad',
  'SelectiveStateUpdate',
  'CausalConv1d',
  'CausalConv1dGrad',
  'CausalConv1dUpdate',
  'RmsNorm',
  'RmsNormGrad',
  'SSD',
  'SSDGrad',
  'SSDStep',
  'GatedRmsNorm',
  'GatedRmsNormGrad',
  'CrossEntropy',
  'CrossEntropyGrad',
  'Linear',
  'LinearGrad',
  'AdamW',
  'GlobalNorm',
];

/** Takes the current backend's kernels out of the registry; the result puts them back. */
export function removeKernels(): () => void {
  const backendName = tf.getBackend();
  const registered = () =>
    kernelNames.map((name) => tf.getKernel(name, backendName)).filter((kernel) => kernel !== undefined);
  const own = registered();
  own.forEach(({kernelName}) => tf.unregisterKernel(kernelName, backendName));
  return () => {
    registered().forEach(({kernelName}) => tf.unregisterKernel(kernelName, backendName));
    own.forEach((kernel) => tf.registerKernel(kernel));
  };
}

/** Call in a `describe`: for each of its specs the backend has no kernels of its own, and the one warning about it is not printed. */
export function composedKernels(): void {
  let putBack: () => void;
  beforeEach(() => {
    spyOn(console, 'warn');
    putBack = removeKernels();
  });
  afterEach(() => putBack());
}

/**
 * A suite whose specs run the composed kernels. They are TensorFlow.js's own ops and none of our code is in them that a browser could make
 * a difference to, so they do not run there on the backends that Node has too.
 */
export function describeComposed(what: string, specs: () => void): void {
  if (isInNodeToo()) return;
  describe(what, () => {
    composedKernels();
    specs();
  });
}
