/**
 * The selective scan against its composed form, forward and forward + backward. On WebGPU also against what the device could do: the
 * bytes that must move at its bandwidth, and the exponentials at its rate, both measured in the same run.
 */
import * as tf from '@tensorflow/tfjs';
import '../src/kernels/all';
import {selectiveScan} from '../src/ops';
import {normal, seededRandom, toTensor, uniform} from '../test/support/arrays';
import {removeKernels} from '../test/support/composedKernels';
import {bandwidth, exponentialRate} from './floors';
import type {Measured} from './measure';
import {measure, row} from './measure';

type Shape = [batch: number, length: number, channels: number, dState: number];

/** Small, wide, batched. */
const shapes: Shape[] = [
  [1, 1024, 256, 16],
  [1, 1024, 1536, 16],
  [8, 1024, 1536, 16],
];

function makeCall([batch, length, channels, dState]: Shape) {
  const random = seededRandom(1);
  const sequence = [batch, length, channels];
  const inputs = [
    normal(random, sequence),
    uniform(random, sequence, 0.01, 0.1),
    uniform(random, [channels, dState], -1, -0.1),
    normal(random, [batch, length, dState]),
    normal(random, [batch, length, dState]),
    normal(random, [channels]),
    normal(random, sequence),
  ].map(toTensor);
  const dy = toTensor(normal(random, sequence));
  type Inputs = Parameters<typeof run>;
  const run = (u: tf.Tensor, delta: tf.Tensor, A: tf.Tensor, B: tf.Tensor, C: tf.Tensor, D: tf.Tensor, z: tf.Tensor) =>
    selectiveScan({
      u: u as tf.Tensor3D,
      delta: delta as tf.Tensor3D,
      A: A as tf.Tensor2D,
      B,
      C,
      D: D as tf.Tensor1D,
      z: z as tf.Tensor3D,
      deltaSoftplus: true,
    });
  return {
    forward: () => Object.values(run(...(inputs as Inputs))),
    backward: () => tf.tidy(() => tf.grads((...tensors) => run(...(tensors as Inputs)).y)(inputs, dy)),
    dispose: () => tf.dispose([...inputs, dy]),
  };
}

/** Bytes that any algorithm has to move: each input and each result once. */
function leastMegabytes([batch, length, channels, dState]: Shape): {forward: number; backward: number} {
  const sequence = batch * length * channels;
  const projection = batch * length * dState;
  const states = batch * channels * dState;
  const perChannel = channels * (dState + 1);
  const forward = 4 * sequence + 2 * projection + states + perChannel;
  return {
    forward: (4 * forward) / 1e6,
    backward: (4 * (forward + 7 * sequence + 4 * projection + 2 * perChannel)) / 1e6,
  };
}

export async function benchOps(withComposed: boolean): Promise<void> {
  console.log(`selectiveScan [batch, length, channels, dState] with D, z and softplus on ${tf.getBackend()}`);
  const floors =
    tf.getBackend() === 'webgpu' ? {bytes: await bandwidth(), exponentials: await exponentialRate()} : undefined;
  if (floors) {
    const {bytes, exponentials} = floors;
    console.log(`device: ${(bytes / 1e9).toFixed(0)} GB/s, ${(exponentials / 1e9).toFixed(1)} billion exponentials/s`);
  }
  for (const shape of shapes) {
    const call = makeCall(shape);
    const least = leastMegabytes(shape);
    const exponentials = shape.reduce((a, b) => a * b, 1);
    const own = {forward: await measure(call.forward, 20), backward: await measure(call.backward, 10)};
    const composed = withComposed && shape === shapes[0] ? await composedOf(call) : undefined;
    const plain = tf.getBackend() === 'wasm' ? await withoutSimd(shape) : undefined;
    for (const direction of ['forward', 'backward'] as const) {
      const measured = own[direction];
      const label = `[${shape.join(',')}] ${direction === 'forward' ? 'forward' : 'forward + backward'}`;
      const notes = [
        measured.megabytes && `${(measured.megabytes / least[direction]).toFixed(2)} of the least bytes`,
        composed && `${ratio(composed[direction], measured)} the composed kernel`,
        plain && `${ratio(plain[direction], measured)} the typed-array kernel`,
        floors && measured.gpuMs && fraction(floors, least[direction], exponentials, direction, measured.gpuMs),
      ].filter(Boolean);
      console.log(row(label, measured, notes.join(', ')));
      if (composed) console.log(row('  composed', composed[direction]));
      if (plain) console.log(row('  typed arrays', plain[direction]));
    }
    call.dispose();
  }
}

/** How many times as fast, by the medians and by the fastest calls. */
function ratio(other: Measured, own: Measured): string {
  return `${(other.ms / own.ms).toFixed(1)} times (at best ${(other.best / own.best).toFixed(1)} times)`;
}

/** A backward pass cannot do without the exponentials of the forward, and computes its own once. */
function fraction(
  floors: {bytes: number; exponentials: number},
  megabytes: number,
  exponentials: number,
  direction: 'forward' | 'backward',
  ms: number,
): string {
  const byBytes = (megabytes * 1e9) / floors.bytes;
  const byExponentials = (1e3 * exponentials * (direction === 'forward' ? 1 : 2)) / floors.exponentials;
  return `${(byBytes / ms).toFixed(2)} of the bandwidth floor, ${(byExponentials / ms).toFixed(2)} of the exp floor`;
}

async function composedOf(call: ReturnType<typeof makeCall>): Promise<Record<'forward' | 'backward', Measured>> {
  const warn = console.warn;
  console.warn = () => {};
  const putBack = removeKernels();
  try {
    return {forward: await measure(call.forward, 2, 5, false), backward: await measure(call.backward, 1, 5, false)};
  } finally {
    putBack();
    console.warn = warn;
  }
}

/** The typed-array kernels, on a second wasm backend that is told that there is no SIMD. */
async function withoutSimd(shape: Shape): Promise<Record<'forward' | 'backward', Measured>> {
  const name = 'wasm without SIMD';
  const {validate} = WebAssembly;
  const {warn} = console;
  WebAssembly.validate = () => false;
  console.warn = () => {};
  tf.registerBackend(name, tf.findBackendFactory('wasm'));
  tf.copyRegisteredKernels('wasm', name);
  try {
    await tf.setBackend(name);
    const call = makeCall(shape);
    const measured = {forward: await measure(call.forward, 5, 10), backward: await measure(call.backward, 3, 10)};
    call.dispose();
    return measured;
  } finally {
    WebAssembly.validate = validate;
    console.warn = warn;
    await tf.setBackend('wasm');
    tf.removeBackend(name);
  }
}
