/**
 * What the CUDA ops do inside TensorFlow that the specs of the ops do not see, because JavaScript checks first: calls that TensorFlow
 * must refuse, labels out of range, and the memory of the device. Run by custom-ops/test/run-tensorflow-gpu.sh.
 */
import {execFileSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {backendInfo, causalConv1d, crossEntropy, selectiveScan} from '../../src/node';
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
      ({op, expected}) => op !== 'TfjsMambaSelectiveScanGrad' && !expected.includes('labels must lie'),
    );
    expect(same.length).toBeGreaterThan(80);
    for (const {op, message, expected} of same) expect(message).withContext(op).toContain(expected);
  });

  it('a label out of range is refused by the public op, and makes the loss of the op below it NaN', () => {
    tf.tidy(() => {
      const logits = random(2, 5);
      const labels = tf.tensor1d([0, 5], 'int32');
      expect(() => crossEntropy({logits, labels})).toThrowError(/labels must lie in \[0, 5\)/);
      const [loss] = runNativeOp(backend, 'TfjsMambaCrossEntropy', [logits, labels], {ints: {ignore_index: -100}}, 2);
      expect((loss as tf.Tensor).dataSync()[0]).toBeNaN();
    });
  });

  it('sizes beyond those of the kernels are an exception that says so', () => {
    tf.tidy(() => {
      const conv = () => causalConv1d({x: random(1, 12, 8) as tf.Tensor3D, weight: random(8, 9) as tf.Tensor2D});
      expect(conv).toThrowError(/TfjsMambaCausalConv1d: the CUDA kernels take at most 8 taps/);
      const [u, B] = [random(1, 12, 8) as tf.Tensor3D, random(1, 12, 65)];
      const scan = () => selectiveScan({u, delta: u, A: random(8, 65) as tf.Tensor2D, B, C: B});
      expect(scan).toThrowError(/TfjsMambaSelectiveScan: the CUDA kernels take at most 64 states a channel/);
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
