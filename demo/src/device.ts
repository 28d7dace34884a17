/** What the page asks its worker besides the package's calls: how much memory there is in use, and how long a scan takes. */
import * as tf from '@tensorflow/tfjs';
import {selectiveScan} from 'tfjs-mamba';

/**
 * In bytes, by name: all tensors (weights, states, what is being computed), and what the backend has taken for them and for itself, if it says:
 * the heap of wasm, which never shrinks and so tells of the peaks too, or what is taken of the GPU.
 */
export type Memory = Record<string, number>;

/** Of one sequence. */
export interface Scan {
  length: number;
  channels: number;
  /** Of each channel. */
  states: number;
  /** In ms. */
  forward: number;
  /** Forward and backward, in ms. */
  withGradient: number;
}

/** What there is to ask, and what is answered. */
export interface Answers {
  memory: Memory;
  scan: Scan;
}

/** That of a block of mamba-130m. */
const sizes = {length: 512, channels: 1536, states: 16};
/** Milliseconds of work at a time: on a GPU a single scan is over before its result has been read. */
const ENOUGH = 100;
const MOST = 20;

const answers: {[K in keyof Answers]: () => Promise<Answers[K]> | Answers[K]} = {memory, scan};

/** Answers what comes with a port to answer by. */
export function answerPage(): void {
  self.addEventListener('message', ({data, ports: [port]}: MessageEvent<{ask: keyof Answers}>) => {
    if (!port) return;
    Promise.resolve()
      .then(() => answers[data.ask]())
      .then(
        (value) => port.postMessage({value}),
        (error: Error) => port.postMessage({error: error.message}),
      );
  });
}

function memory(): Memory {
  const {numBytes, numBytesInGPUAllocated, numBytesAllocatedInGPU} = tf.memory() as unknown as Record<string, number>;
  const {wasm} = tf.backend() as {wasm?: {HEAPU8: Uint8Array}};
  const gpu = numBytesInGPUAllocated ?? numBytesAllocatedInGPU;
  return {
    tensors: numBytes,
    ...(wasm && {'heap of wasm': wasm.HEAPU8.buffer.byteLength}),
    ...(gpu !== undefined && {'on the GPU': gpu}),
  };
}

async function scan(): Promise<Scan> {
  const {length, channels, states} = sizes;
  const sequence = [1, length, channels] as [number, number, number];
  const shapes = [sequence, sequence, [1, length, states], [1, length, states], [channels], sequence];
  const inputs = shapes.map((shape, i) => tf.randomNormal(shape, i === 1 ? -4 : 0, 1, 'float32', i));
  inputs.push(tf.tidy(() => tf.tile(tf.range(-1, -1 - states, -1).expandDims(0), [channels, 1])));
  const run = (...[u, delta, B, C, D, z, A]: tf.Tensor[]) => {
    const args = {u, delta, A, B, C, D, z, deltaSoftplus: true};
    return selectiveScan(args as Parameters<typeof selectiveScan>[0]).y as tf.Tensor;
  };
  const gradient = tf.grads(run);
  const first = (x: tf.Tensor) => x.flatten().slice([0], [1]);
  try {
    return {
      ...sizes,
      forward: await best(() => first(run(...inputs))),
      withGradient: await best(() => first(gradient(inputs, inputs[5])[0])),
    };
  } finally {
    tf.dispose(inputs);
  }
}

/** Of three takes, in ms a run; the very first run compiles. */
async function best(work: () => tf.Tensor): Promise<number> {
  const take = async (runs: number) => {
    const begin = performance.now();
    // A backend does one thing after another: when the last is there, all are.
    const results = Array.from({length: runs}, () => tf.tidy(work));
    await results[runs - 1].data();
    tf.dispose(results);
    return (performance.now() - begin) / runs;
  };
  await take(1);
  const runs = Math.max(1, Math.min(MOST, Math.round(ENOUGH / (await take(1)))));
  return Math.min(await take(runs), await take(runs), await take(runs));
}
