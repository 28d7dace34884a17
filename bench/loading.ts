/**
 * `bench -- loading`: memory while a checkpoint is loaded, beside one copy of its weights and the largest of them. The file is made up as it
 * is read, so that it takes none itself. What is counted is JavaScript's memory after a collection, the heap of wasm, and the GPU's buffers.
 * Each case has a process of its own, as the heap of wasm never shrinks: one after another would find room that the one before had made.
 */
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import * as tf from '@tensorflow/tfjs';
import {writeCheckpoint} from '../src/checkpoints/save';
import type {MambaConfig} from '../src';
import {fromPretrained} from '../src';
import {resolveConfig} from '../src/config/config';
import {weightTable} from '../src/config/weightTable';
import {startBackend, type TestBackend} from '../test/support/backend';
import {printTable} from './timing';

const shapes: Record<string, MambaConfig> = {
  'a third of its weights is one': {vocabSize: 8192, dModel: 768, nLayer: 2},
  'all weights small beside the sum': {vocabSize: 256, dModel: 768, nLayer: 2},
};

/** Weights of fewer numbers are not looked at: a collection takes its time. */
const LARGE = 100_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function held(): number {
  // Buffers are freed while the program goes on; the second collection waits for the end of the first.
  collect();
  collect();
  const {wasm} = tf.backend() as unknown as {wasm?: {HEAPU8: Uint8Array}};
  const {numBytesInGPU = 0} = tf.memory() as tf.MemoryInfo & {numBytesInGPU?: number};
  return process.memoryUsage().arrayBuffers + (wasm?.HEAPU8.length ?? 0) + numBytesInGPU;
}

/** A file by its header, with numbers that are made when they are asked for. */
async function fileOf(config: MambaConfig, dtype: 'float32' | 'float16') {
  const files: Record<string, Uint8Array> = {};
  const resolved = resolveConfig(config);
  const sizes = new Map([...weightTable(resolved)].map(({ours, shape}) => [ours, shape.reduce((a, b) => a * b, 1)]));
  const zeros = async (name: string) => new Float32Array(sizes.get(name)!);
  await writeCheckpoint(
    resolved,
    zeros,
    {write: (name, bytes) => void (files[name] = bytes)},
    {dtype},
    undefined,
    async () => undefined,
  );
  const whole = files['model.safetensors'];
  const header = whole.slice(0, 8 + Number(new DataView(whole.buffer, whole.byteOffset).getBigUint64(0, true)));
  const {length} = whole;
  return {config: files['config.json'], header, length, sizes: [...sizes.values()]};
}

async function measure(config: MambaConfig, dtype: 'float32' | 'float16'): Promise<(string | number)[]> {
  const file = await fileOf(config, dtype);
  const before = held();
  let peak = 0;
  const look = () => (peak = Math.max(peak, held() - before));
  // A weight is whole, and its bytes still there, when it is handed to the backend.
  const backend = tf.backend();
  const {write} = backend;
  backend.write = function (...args) {
    const id = write.apply(backend, args);
    if ((args[0] as ArrayLike<number>).length > LARGE) look();
    return id;
  };
  const read = async (start: number, end: number) => {
    look();
    const bytes = new Uint8Array(end - start);
    if (start < file.header.length) bytes.set(file.header.subarray(start, end));
    return bytes;
  };
  const small = (bytes: Uint8Array) => ({
    name: 'config.json',
    size: bytes.length,
    read: async (start: number, end: number) => bytes.subarray(start, end),
  });
  try {
    const model = await fromPretrained({
      name: 'made up',
      async open(name) {
        if (name === 'config.json') return small(file.config);
        return name === 'model.safetensors' ? {name, size: file.length, read} : undefined;
      },
    });
    look();
    model.dispose();
  } finally {
    backend.write = write;
  }
  const [copy, largest] = [file.sizes.reduce((a, b) => a + b, 0) * 4, Math.max(...file.sizes) * 4];
  const MB = 1e6;
  return [file.length / MB, copy / MB, largest / MB, peak / MB, peak / (copy + largest)];
}

export async function benchLoading(): Promise<void> {
  console.log(`loading on ${tf.getBackend()}, MB`);
  const rows: (string | number)[][] = [['', 'file', 'one copy', 'largest weight', 'peak', 'peak ÷ (copy + largest)']];
  for (const name of Object.keys(shapes)) {
    for (const dtype of ['float32', 'float16']) {
      const child = fork(fileURLToPath(import.meta.url), [tf.getBackend(), name, dtype]);
      const [figures] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [(string | number)[]];
      if (!Array.isArray(figures)) throw new Error(`The process that loads ${name}, ${dtype} has failed`);
      rows.push([`${name}, ${dtype}`, ...figures]);
    }
  }
  printTable(rows);
}

if (process.argv[1] === import.meta.filename && process.send) {
  const [backend, name, dtype] = process.argv.slice(2);
  await startBackend(backend as TestBackend);
  process.send(await measure(shapes[name], dtype as 'float32' | 'float16'), () => process.exit(0));
}
