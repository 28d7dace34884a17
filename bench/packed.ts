/** Decoding with matrices of 8 bits beside the same model in float32, token by token in turns: how much faster, and how far off. Random weights. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM, PresetName} from '../src';
import {fromPretrained, mambaLM, savePretrained} from '../src';
import {blobFile} from '../src/checkpoints/bytes';

const TOKENS = 12;
const TURNS = 5;

/** A model and where it is in a text. */
class Decoder {
  readonly times: number[] = [];
  private now: ReturnType<MambaLM['prefill']>;

  constructor(private readonly model: MambaLM) {
    this.now = model.prefill([[1, 2, 3, 4, 5, 6, 7, 8]]);
  }

  async step(id: number): Promise<Float32Array> {
    const start = performance.now();
    const next = this.model.step([id], this.now.state);
    tf.dispose(this.now);
    this.now = next;
    const logits = (await next.logits.data()) as Float32Array;
    this.times.push(performance.now() - start);
    return logits;
  }
}

export async function benchPacked(preset = 'mamba-130m'): Promise<void> {
  const model = mambaLM(preset as PresetName, {seed: 1});
  const files = new Map<string, Blob>();
  await savePretrained(model, {write: (name, bytes) => void files.set(name, new Blob([bytes]))});
  const open = async (name: string) => (files.has(name) ? blobFile(name, files.get(name)!) : undefined);
  const before = tf.memory().numBytes;
  const packed = await fromPretrained({name: 'memory', open}, {weights: 'int8'});
  const bytes = tf.memory().numBytes - before;
  console.log(
    `${preset} on ${tf.getBackend()}: ${(bytes / 1e6).toFixed(0)} MB in 8 bits, ${((4 * model.countParams()) / 1e6).toFixed(0)} MB in float32`,
  );
  const [floats, bits] = [new Decoder(model), new Decoder(packed)];
  let error = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    for (let i = 0; i < TOKENS; i++) {
      const [a, b] = [await floats.step(i), await bits.step(i)];
      const largest = a.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      error = Math.max(error, a.reduce((max, x, k) => Math.max(max, Math.abs(x - b[k])), 0) / largest);
    }
  }
  const sorted = (times: number[]) => times.slice(TOKENS).sort((a, b) => a - b);
  const [f, q] = [floats, bits].map(({times}) => sorted(times));
  for (const [name, at] of [
    ['best', 0],
    ['median', f.length >> 1],
  ] as const) {
    console.log(
      `a token at ${name}: ${f[at].toFixed(1)} ms in float32, ${q[at].toFixed(1)} ms in 8 bits, ${(f[at] / q[at]).toFixed(2)} times as fast`,
    );
  }
  console.log(`logits differ by at most ${error.toExponential(1)} of the largest`);
}
