/**
 * Memory: nothing is left behind, nothing as large as B·L·D·N is ever made, and the typed-array kernels get by with little scratch.
 * TensorFlow.js does not see scratch, so it is counted where it comes from: typed-array constructors, and malloc on the wasm heap.
 */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {scratchBytes, wasmHeapBytes} from '../support/allocation';
import {mapValues, readAndDispose, sizeOf, toTensor} from '../support/arrays';
import {describeComposed} from '../support/composedKernels';
import {draws, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import {scanCase} from './cases/selectiveScan';
import type {OpUnderTest} from './opUnderTest';
import {evaluateOp, projectionsOf} from './opUnderTest';

const counters = () => {
  const {numTensors, numDataBuffers, numBytes} = tf.memory();
  return {numTensors, numDataBuffers, numBytes};
};

/** Every op leaves only its outputs, and those can be disposed. */
function leavesNothing(op: OpUnderTest, count: () => number): void {
  it(`of ${op.op} leaves its outputs and nothing else`, async () => {
    for (const params of fc.sample(op.arbitrary, {numRuns: count(), seed: randomSeed})) {
      const testCase = op.build(params);
      const expected = op.reference(testCase);
      const projections = projectionsOf(expected, randomSeed);
      await evaluateOp(op, testCase, projections); // a backend may keep constants from its first run
      const start = counters();
      await evaluateOp(op, testCase, projections);
      expect(counters()).toEqual(start);

      const inputs = mapValues(testCase.inputs, toTensor);
      const before = tf.memory().numTensors;
      const outputs = tf.tidy(() => op.run(inputs, testCase.options));
      expect(tf.memory().numTensors - before).toBe(Object.keys(expected).length);
      await readAndDispose(outputs);
      expect(Object.values(inputs).some((tensor) => tensor.isDisposed)).toBeFalse();
      tf.dispose(inputs);
      expect(counters()).toEqual(start);
    }
  });
}

describe('a forward and backward pass', () => {
  opsUnderTest.forEach((op) => leavesNothing(op, () => draws(10)));
});

describeComposed('a forward and backward pass, composed of TensorFlow.js ops,', () => {
  // On a GPU in software one shape of the scan takes seconds.
  opsUnderTest.forEach((op) => leavesNothing(op, () => (tf.getBackend().startsWith('webg') ? 1 : 10)));
});

/** Forward and backward of a full scan, given the gradient of y; y, finalState and a gradient of every input come back. */
function scanBothWays(size: {batch: number; length: number; channels: number; dState: number}) {
  const testCase = scanCase.build({
    ...{...size, formB: 'sequence', formC: 'sequence', groupsB: 0, groupsC: 0},
    ...{hasD: true, hasZ: true, hasBias: true, hasInitialState: true, deltaSoftplus: true, decay: 's4d', seed: 1},
  });
  const inputs = mapValues(testCase.inputs, toTensor);
  const names = Object.keys(inputs);
  const dy = tf.onesLike(inputs.u);
  const run = () => {
    let outputs: Record<string, tf.Tensor> = {};
    const gradients = tf.grads((...xs: tf.Tensor[]) => {
      const named = Object.fromEntries(names.map((name, i) => [name, xs[i]]));
      outputs = mapValues(scanCase.run(named, testCase.options), (tensor) => tf.keep(tensor));
      return outputs.y;
    })(Object.values(inputs), dy);
    return [...Object.values(outputs), ...gradients];
  };
  return {run, given: [...Object.values(inputs), dy], dispose: () => tf.dispose([inputs, dy])};
}

const bytesOf = (tensors: tf.Tensor[]) => tensors.reduce((sum, {size}) => sum + 4 * size, 0);

/** On these backends a kernel's results are typed arrays or wasm memory, which the count sees. */
const countsResults = () => ['cpu', 'wasm'].includes(tf.getBackend());

/** Floats of state that may be kept for each channel and position: the CUDA ops keep every eighth state, the others fewer. */
const keptFloats = (dState: number) =>
  (tf.backend() as unknown as {isUsingGpuDevice?: boolean}).isUsingGpuDevice ? dState / 8 : 1;

describe('a selective scan of shape [1,4096,256,16], forward and backward,', () => {
  const size = {batch: 1, length: 4096, channels: 256, dState: 16};

  it('never takes twice the memory of inputs and outputs, nor makes anything of size B·L·D·N', async () => {
    const elsewhere = tf.memory().numBytes;
    const {run, given, dispose} = scanBothWays(size);
    const {peakBytes, kernels, result} = await tf.profile(() => tf.tidy(run));
    const returned = result as unknown as tf.Tensor[];
    expect(peakBytes - elsewhere).toBeLessThan(2 * (bytesOf(given) + bytesOf(returned)));
    const largest = Math.max(...kernels.flatMap(({outputShapes}) => outputShapes.map((shape) => sizeOf(shape))));
    expect(largest).toBeLessThanOrEqual(keptFloats(size.dState) * size.length * size.channels);
    expect(kernels.map(({name}) => name)).toContain('SelectiveScanGrad');
    tf.dispose(returned);
    dispose();
  });

  it('takes less than 4 MB of scratch inside the kernels', () => {
    const {run, dispose} = scanBothWays(size);
    if (tf.getBackend().startsWith('webg')) tf.dispose(tf.tidy(run)); // a GPU backend copies what it uploads, once
    const scratch = scratchBytes(['SelectiveScan', 'SelectiveScanGrad'], () => tf.dispose(tf.tidy(run)));
    expect(Object.keys(scratch)).toEqual(['SelectiveScan', 'SelectiveScanGrad']);
    Object.entries(scratch).forEach(([kernel, bytes]) => {
      expect(bytes)
        .withContext(kernel)
        .toBeLessThan(4 * 2 ** 20);
      // A negative number would mean that not even the results were counted.
      expect(bytes)
        .withContext(kernel)
        .toBeGreaterThanOrEqual(countsResults() ? 0 : -Infinity);
    });
    const heap = wasmHeapBytes();
    tf.dispose(tf.tidy(run));
    expect(wasmHeapBytes()).withContext('wasm heap of a second run').toBe(heap);
    dispose();
  });
});

describeComposed('a selective scan composed of TensorFlow.js ops', () => {
  it('makes nothing of size B·L·D·N', async () => {
    const size = {batch: 2, length: 200, channels: 6, dState: 16};
    const {run, dispose} = scanBothWays(size);
    const {kernels, result} = await tf.profile(() => tf.tidy(run));
    const largest = Math.max(...kernels.flatMap(({outputShapes}) => outputShapes.map((shape) => sizeOf(shape))));
    expect(largest).toBeLessThanOrEqual(size.batch * size.length * Math.max(size.channels, size.dState));
    tf.dispose(result);
    dispose();
  });
});
