/**
 * What the CUDA ops do inside TensorFlow that the specs of the ops do not see, because JavaScript checks first: calls that TensorFlow
 * must refuse, labels out of range, and the memory of the device. Run by custom-ops/test/run-tensorflow-gpu.sh.
 */
import {createRequire} from 'node:module';
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend, OpAttrs} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {backendInfo, crossEntropy, selectiveScan} from '../../src/node';

/** The device under test (custom-ops/test/gpu/device_plugin.cc). */
const {allocatedBytes} = createRequire(import.meta.url)(process.env['TFJS_MAMBA_DEVICE_PLUGIN']!) as {
  allocatedBytes(): number;
};

await tf.setBackend('tensorflow');
const backend = tf.backend() as unknown as NodeBackend;

const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 7);

/** Calls of an op with an input of the wrong shape: the inputs' shapes, the attributes, and what the exception must name. */
const wrongCalls: Record<string, {shapes: number[][]; attrs: OpAttrs; outputs: number; named: string[]}> = {
  TfjsMambaSelectiveScan: {
    shapes: [
      [1, 8, 6],
      [1, 8, 5],
      [6, 4],
      [1, 8, 1, 4],
      [1, 8, 1, 4],
    ],
    attrs: {ints: {NI: 5, NS: 0, present: 31}, bools: {delta_softplus: true}},
    outputs: 2,
    named: ['delta', '[1,8,6]', '[1,8,5]'],
  },
  TfjsMambaSelectiveStateUpdate: {
    shapes: [
      [2, 6, 4],
      [2, 6],
      [2, 6],
      [5, 4],
      [2, 1, 4],
      [2, 1, 4],
    ],
    attrs: {ints: {NI: 6, present: 63}, bools: {delta_softplus: true}},
    outputs: 2,
    named: ['A', '[6,4]', '[5,4]'],
  },
  TfjsMambaCausalConv1d: {
    shapes: [
      [1, 8, 6],
      [5, 4],
    ],
    attrs: {ints: {NI: 2, present: 3}, bools: {silu: true}},
    outputs: 2,
    named: ['weight', '[6,4]', '[5,4]'],
  },
  TfjsMambaRmsNorm: {
    shapes: [[2, 8], [7]],
    attrs: {ints: {NI: 2, NO: 1, present: 3}, floats: {epsilon: 1e-5}},
    outputs: 1,
    named: ['weight', '[2,8]', '7'],
  },
  TfjsMambaMatVec: {
    shapes: [
      [1, 8],
      [7, 3],
    ],
    attrs: {ints: {NI: 2, present: 3}, bools: {transpose_kernel: false}},
    outputs: 1,
    named: ['kernel', '[8,3]', '[7,3]'],
  },
};

describe('on a GPU device of TensorFlow', () => {
  it('the backend says so', () => {
    expect(backendInfo().device).toBe('GPU');
    expect(backendInfo().nativeKernels.length).toBeGreaterThan(0);
  });

  for (const [op, {shapes, attrs, outputs, named}] of Object.entries(wrongCalls)) {
    it(`a wrong call of ${op} is an exception that names ${named.join(', ')}`, () => {
      const inputs = shapes.map((shape) => random(...shape));
      let message = '';
      try {
        runNativeOp(backend, op, inputs, attrs, outputs);
      } catch (error) {
        message = (error as Error).message;
      }
      for (const part of [op, ...named]) expect(message).toContain(part);
      tf.dispose(inputs);
    });
  }

  it('a label out of range is refused by the public op, and makes the loss of the op below it NaN', () => {
    tf.tidy(() => {
      const logits = random(2, 5);
      const labels = tf.tensor1d([0, 5], 'int32');
      expect(() => crossEntropy({logits, labels})).toThrowError(/labels must lie in \[0, 5\)/);
      const [loss] = runNativeOp(backend, 'TfjsMambaCrossEntropy', [logits, labels], {ints: {ignore_index: -100}}, 2);
      expect((loss as tf.Tensor).dataSync()[0]).toBeNaN();
    });
  });

  it('memory stays flat over a thousand scans and their gradients with failing calls among them', () => {
    const [u, delta] = [random(1, 64, 32), random(1, 64, 32)] as tf.Tensor3D[];
    const narrow = random(1, 64, 16);
    const A = random(32, 16).abs().neg() as tf.Tensor2D;
    const B = random(1, 64, 1, 16);
    const rounds = (count: number) => {
      for (let i = 0; i < count; i++) {
        tf.grad((x) => selectiveScan({u: x as tf.Tensor3D, delta, A, B, C: B}).y.sum())(u).dispose();
        const {attrs} = wrongCalls['TfjsMambaSelectiveScan'];
        expect(() => runNativeOp(backend, 'TfjsMambaSelectiveScan', [u, narrow, A, B, B], attrs, 2)).toThrowError();
      }
      return {bytes: allocatedBytes(), tensors: tf.memory().numTensors};
    };
    const before = rounds(100);
    expect(before.bytes).toBeGreaterThan(0);
    expect(rounds(1000)).toEqual(before);
    tf.dispose([u, delta, narrow, A, B]);
  });
});
