/**
 * What the CUDA ops do inside TensorFlow that the specs of the ops do not see, because JavaScript checks first: calls that TensorFlow
 * must refuse, ids and labels out of range, and the memory of the device. Run by custom-ops/test/run-tensorflow-gpu.sh.
 */
import {execFileSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {backendInfo, causalConv1d, crossEntropy, embedding, selectiveScan} from '../../src/node';
import type {WrongCall} from './wrongCalls';

/** The device under test (custom-ops/test/gpu/device_plugin.cc). */
const {allocatedBytes} = createRequire(import.meta.url)(process.env['TFJS_MAMBA_DEVICE_PLUGIN']!) as {
  allocatedBytes(): number;
};

await tf.setBackend('tensorflow');
const backend = tf.backend() as unknown as NodeBackend;

const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 7);

describe('on a GPU device of TensorFlow', () => {
  it('the backend says so', () => {
    expect(backendInfo().device).toBe('GPU');
    expect(backendInfo().nativeKernels.length).toBeGreaterThan(0);
  });

  it('wrong calls are refused in the words of the CPU', () => {
    const program = fileURLToPath(new URL('wrongCalls.ts', import.meta.url));
    const output = execFileSync(process.execPath, ['--import', 'tsx', program], {encoding: 'utf8'});
    const calls = JSON.parse(output.trim().split('\n').at(-1)!) as WrongCall[];
    // The layout of the kept states is the device's own, and nothing looks at labels there.
    const same = calls.filter(
      ({op, expected}) => !/ScanGrad|SsdGrad/.test(op) && !expected.includes('labels must lie'),
    );
    expect(same.length).toBeGreaterThan(80);
    for (const {op, message, expected} of same) expect(message).withContext(op).toContain(expected);
  });

  it('a row whose label is out of range does not count, and its id has a row of zeros', () => {
    tf.tidy(() => {
      const logits = random(4, 5);
      const labels = tf.tensor1d([0, 5, -1, -100], 'int32');
      const [value, gradient] = [
        crossEntropy({logits, labels}),
        tf.grad((x) => crossEntropy({logits: x, labels}))(logits),
      ];
      const alone = logits.slice([0, 0], [1, 5]);
      const first = labels.slice([0], [1]);
      expect(value.dataSync()[0]).toBeCloseTo(crossEntropy({logits: alone, labels: first}).dataSync()[0], 5);
      expect(gradient.slice([1, 0], [3, 5]).abs().max().dataSync()[0]).toBe(0);
      const rows = embedding({ids: tf.tensor1d([1, 4, -1], 'int32'), weight: logits as tf.Tensor2D});
      expect(
        rows
          .sub(tf.concat([logits.slice([1, 0], [1, 5]), tf.zeros([2, 5])]))
          .abs()
          .max()
          .dataSync()[0],
      ).toBe(0);
    });
  });

  it('sizes beyond those of the kernels are refused by the ops, and composed by the functions above them', () => {
    tf.tidy(() => {
      const [x, weight] = [random(1, 12, 8) as tf.Tensor3D, random(8, 9) as tf.Tensor2D];
      const conv = () => runNativeOp(backend, 'TfjsMambaCausalConv1d', [x, weight], {ints: {NI: 2, present: 3}}, 2);
      expect(conv).toThrowError(/TfjsMambaCausalConv1d: the CUDA kernels take at most 8 taps/);
      expect(causalConv1d({x, weight}).y.shape).toEqual([1, 12, 8]);
      const [A, B] = [random(8, 65).abs().neg() as tf.Tensor2D, random(1, 12, 65)];
      const grouped = B.expandDims(2);
      const inputs = [x, x, A, grouped, grouped];
      const scan = () => runNativeOp(backend, 'TfjsMambaSelectiveScan', inputs, {ints: {NI: 5, present: 31}}, 2);
      expect(scan).toThrowError(/TfjsMambaSelectiveScan: the CUDA kernels take at most 64 states a channel/);
      expect(selectiveScan({u: x, delta: x, A, B, C: B}).y.shape).toEqual([1, 12, 8]);
    });
  });

  it('memory stays flat over a thousand scans and their gradients with failing calls among them', () => {
    const [u, delta] = [random(1, 64, 32), random(1, 64, 32)] as tf.Tensor3D[];
    const narrow = random(1, 64, 16);
    const A = random(32, 16).abs().neg() as tf.Tensor2D;
    const B = random(1, 64, 1, 16);
    const wrong = () =>
      runNativeOp(backend, 'TfjsMambaSelectiveScan', [u, narrow, A, B, B], {ints: {NI: 5, present: 31}}, 2);
    const rounds = (count: number) => {
      for (let i = 0; i < count; i++) {
        tf.grad((x) => selectiveScan({u: x as tf.Tensor3D, delta, A, B, C: B}).y.sum())(u).dispose();
        expect(wrong).toThrowError(/delta must have shape/);
      }
      return {bytes: allocatedBytes(), tensors: tf.memory().numTensors};
    };
    const before = rounds(100);
    expect(before.bytes).toBeGreaterThan(0);
    expect(rounds(1000)).toEqual(before);
    tf.dispose([u, delta, narrow, A, B]);
  });
});
