/**
 * What the ops do differently where TensorFlow has a GPU, which no machine of ours has at hand: here it only says so, and
 * computes on the CPU. What the GPU itself does, custom-ops/test/run-tensorflow-gpu.sh shows.
 */
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {drawNormal, drawUniform, normalTensor, uniformTensor} from '../../src/draw';
import {crossEntropy, embedding} from '../../src/index';
import {packedLinear} from '../../src/ops/packedLinear';
import {unpackRows} from '../../src/ops/unpackRows';
import {sizedCases} from '../ops/cases/sizes';
import {compareWithReference} from '../ops/opUnderTest';
import {composedKernels} from '../support/composedKernels';
import {randomSeed} from '../support/settings';

const backend = () => tf.backend() as unknown as NodeBackend & Pick<tf.KernelBackend, 'readSync'>;

/** Call in a `describe`: TensorFlow says in its specs that it has a GPU. */
function pretendedGpu(): void {
  let truth: boolean;
  beforeEach(() => {
    truth = backend().isUsingGpuDevice;
    backend().isUsingGpuDevice = true;
  });
  afterEach(() => {
    backend().isUsingGpuDevice = truth;
  });
}

/** Six random numbers as weights have them, and whether the library drew them. */
function drawnOnBackend(draw: () => tf.Tensor) {
  const ops = spyOn(backend(), 'executeMultipleOutputs').and.callThrough();
  const values = tf.tidy(() => [...draw().dataSync()]);
  return {values, natively: ops.calls.allArgs().some(([op]) => op === 'TfjsMambaDraw')};
}

describe('random weights on TensorFlow', () => {
  it('are drawn by the library', () => {
    const tensors = tf.memory().numTensors;
    expect(drawnOnBackend(() => uniformTensor([2, 3], -1, 2, 4))).toEqual({
      values: [...drawUniform(6, -1, 2, 4)],
      natively: true,
    });
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe('a native library of another version', () => {
  it('is named, and how to get the right one', () => {
    const hint =
      'the native library is of another version of this package; npx tfjs-mamba setup-native builds the right one (';
    tf.tidy(() => {
      const x = tf.ones([2]);
      for (const [op, count] of [
        ['TfjsMambaOfLater', 1],
        ['TfjsMambaAdamW', 5], // without an attribute
      ] as const) {
        const inputs = Array.from({length: count}, () => x);
        expect(() => runNativeOp(backend(), op, inputs, {ints: {P: 1}}, 3)).toThrowMatching(({message}: Error) =>
          message.startsWith(`${op}: ${hint}`),
        );
      }
      expect(() => runNativeOp(backend(), 'TfjsMambaGlobalNorm', [x.toInt()], {ints: {P: 1}}, 1)).toThrowMatching(
        ({message}: Error) => !message.includes(hint),
      );
    });
  });
});

describe('random weights on a GPU of TensorFlow', () => {
  pretendedGpu();

  it('are drawn in JavaScript, the same ones', () => {
    expect(drawnOnBackend(() => normalTensor([2, 3], 0.5, 4))).toEqual({
      values: [...drawNormal(6, 0.5, 4)],
      natively: false,
    });
  });
});

const ids = (...values: number[]) => tf.tensor1d(values, 'int32');
const table = () => tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);

describe('ids and labels on a GPU of TensorFlow', () => {
  pretendedGpu();

  it('are not read back', () => {
    const read = spyOn(backend(), 'readSync').and.callThrough();
    tf.tidy(() => {
      const [rows, labels] = [ids(0, 2), ids(2, -100)];
      tf.grads((weight, kernel) => {
        const logits = embedding({ids: rows, weight: weight as tf.Tensor2D}).matMul(kernel);
        return crossEntropy({logits, labels});
      })([table(), tf.ones([2, 3])]);
      // tfjs-node itself reads the number of an axis, which it has made.
      const taken = read.calls.allArgs().map(([dataId]) => dataId);
      expect([rows, labels].some(({dataId}) => taken.includes(dataId))).toBe(false);
    });
  });

  it('are rows of zeros if no row has the id, and such an id gives no row a gradient', () => {
    tf.tidy(() => {
      const rows = (weight: tf.Tensor) => embedding({ids: ids(2, 3, -1), weight: weight as tf.Tensor2D});
      expect([...rows(table()).dataSync()]).toEqual([5, 6, 0, 0, 0, 0]);
      expect([...tf.grad(rows)(table()).dataSync()]).toEqual([0, 0, 0, 0, 1, 1]);
    });
  });
});

describe('labels on a GPU of TensorFlow, composed of its ops,', () => {
  pretendedGpu();
  composedKernels();

  it('do not count if there is no such class', () => {
    tf.tidy(() => {
      const loss = (labels: tf.Tensor) => (logits: tf.Tensor) => crossEntropy({logits, labels});
      const logits = tf.tensor2d([0.1, -0.4, 0.3, 0.9, 0.2, -0.7, 0.5, 0.4, 0.6], [3, 3]);
      const [wrong, ignored] = [loss(ids(1, 3, -1)), loss(ids(1, -100, -100))];
      expect([...wrong(logits).dataSync()]).toEqual([...ignored(logits).dataSync()]);
      expect([...tf.grad(wrong)(logits).dataSync()]).toEqual([...tf.grad(ignored)(logits).dataSync()]);
    });
  });
});

describe('sizes beyond those of the CUDA kernels', () => {
  pretendedGpu();

  for (const {op, sizes, testCase} of sizedCases()) {
    it(`run composed on a GPU of TensorFlow: ${op.op} ${sizes}`, async () => {
      const run = spyOn(backend(), 'executeMultipleOutputs').and.callThrough();
      expect(await compareWithReference(op, testCase, randomSeed)).toEqual([]);
      const native = run.calls.allArgs().filter(([name]) => name.startsWith('TfjsMamba'));
      // The step of the scan has a CUDA kernel for any number of states; its gradient is that of the scan.
      expect(native.filter(([name]) => name !== 'TfjsMambaSelectiveStateUpdate')).toEqual([]);
    });
  }
});

describe('ops without a CUDA kernel', () => {
  pretendedGpu();

  it('run composed on a GPU of TensorFlow: products and look-ups by packed rows', () => {
    tf.tidy(() => {
      // Rows of ones times two, four to a word.
      const packed = {
        words: tf.fill<tf.Rank.R2>([3, 8], 0x01010101, 'int32'),
        scales: tf.fill<tf.Rank.R2>([3, 1], 2),
      };
      const run = spyOn(backend(), 'executeMultipleOutputs').and.callThrough();
      expect([...packedLinear({x: tf.ones([1, 32]), ...packed}).dataSync()]).toEqual([64, 64, 64]);
      expect([...unpackRows(packed).sum(1).dataSync()]).toEqual([64, 64, 64]);
      expect(run.calls.allArgs().filter(([name]) => /Packed|Unpack/.test(name))).toEqual([]);
    });
  });
});
