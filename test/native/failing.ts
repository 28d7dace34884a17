/**
 * Four thousand scans, the last thousand measured, with wrong calls among them; straight to the ops, so that nothing catches those before
 * TensorFlow does.
 */
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {selectiveScan} from '../../src/node';

await tf.setBackend('tensorflow');
const backend = tf.backend() as unknown as NodeBackend;
const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 7);
const u = random(1, 64, 32) as tf.Tensor3D;
const delta = random(1, 64, 32) as tf.Tensor3D;
const narrow = random(1, 64, 16);
const A = random(32, 16).abs().neg() as tf.Tensor2D;
const B = random(1, 64, 1, 16);
const logits = random(2, 5);
const labels = tf.tensor1d([0, 5], 'int32');

/** Calls that TensorFlow must refuse; their messages. */
function failures(): string[] {
  const calls = [
    () => runNativeOp(backend, 'TfjsMambaSelectiveScan', [u, narrow, A, B, B], {ints: {NI: 5, present: 31}}, 2),
    () => runNativeOp(backend, 'TfjsMambaCrossEntropy', [logits, labels], {}, 2),
  ];
  return calls.flatMap((call) => {
    try {
      call();
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
}

function round(): void {
  for (let i = 0; i < 250; i++) {
    tf.grad((x) => selectiveScan({u: x as tf.Tensor3D, delta, A, B, C: B}).y.sum())(u).dispose();
    failures();
  }
  (globalThis as {gc?: () => void}).gc!();
}

for (let i = 0; i < 12; i++) round(); // the first fill the allocators' pools
const tensors = tf.memory().numTensors;
const memory = process.memoryUsage().rss;
for (let i = 0; i < 4; i++) round();
const growth = process.memoryUsage().rss - memory;
console.log(JSON.stringify({failures: failures(), tensors: tf.memory().numTensors - tensors, growth}));
