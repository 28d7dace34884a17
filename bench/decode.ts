/**
 * Decoding: tokens per second, what a token costs in dispatches, and on TensorFlow how much longer it takes than reading the weights
 * does. Random weights.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, MambaLM, PresetName} from '../src';
import {mambaLM} from '../src';
import {measureMachine} from './machine';
import {countDispatches} from './measure';

/** 24 layers, narrow enough for a software GPU. */
const narrow: MambaConfig = {vocabSize: 256, dModel: 128, nLayer: 24};

export async function benchDecode(preset?: string): Promise<void> {
  const config = preset === undefined ? narrow : (preset as PresetName);
  const model = mambaLM(config, {seed: 1});
  const {nLayer, dModel, vocabSize} = model.config;
  console.log(`decode on ${tf.getBackend()}: ${nLayer} layers, width ${dModel}, vocabulary ${vocabSize}`);
  let {logits, state} = model.prefill([[1, 2, 3, 4, 5, 6, 7, 8]]);
  const advance = (id: number) => {
    const next = model.step([id], state);
    tf.dispose([logits, state]);
    ({logits, state} = next);
  };
  advance(1);
  await logits.data();
  const {dispatches} = countDispatches(() => advance(2));
  await logits.data();
  const perToken = dispatches === undefined ? '' : `, ${dispatches} dispatches per token`;
  const onTensorFlow = tf.getBackend() === 'tensorflow';
  const times: number[] = [];
  const reads: number[] = [];
  // In turns, so that other work on the machine holds up both; it is why the best of each counts.
  for (let turn = 0; turn < (onTensorFlow ? 4 : 1); turn++) {
    if (onTensorFlow) reads.push(measureMachine()?.read ?? NaN);
    const first = times.length;
    for (let i = 0; i < 32; i++) {
      const start = performance.now();
      advance(i);
      await logits.data();
      times.push(performance.now() - start);
    }
    const seconds = times.slice(first).reduce((a, b) => a + b, 0) / 1e3;
    console.log(`${(32 / seconds).toFixed(1)} tokens/s${perToken}`);
  }
  console.log(`${(await generated(model)).toFixed(1)} tokens/s by generate, which takes the likeliest token`);
  if (onTensorFlow) printFloor(times, Math.max(...reads), 4 * model.countParams());
  tf.dispose([logits, state]);
}

/** Tokens a second as a program has them: chosen on the device, one number read for each. */
async function generated(model: MambaLM): Promise<number> {
  const options = {maxNewTokens: TOKENS + 1, temperature: 0, stopTokens: []};
  let begin = 0;
  for await (const {index} of model.generate([1, 2, 3], options)) if (index === 0) begin = performance.now();
  return (1e3 * TOKENS) / (performance.now() - begin);
}
const TOKENS = 128;

function printFloor(times: number[], rate: number, bytes: number): void {
  const sorted = [...times].sort((a, b) => a - b);
  const floor = (1e3 * bytes) / rate;
  const [best, median] = [sorted[0], sorted[sorted.length >> 1]].map(
    (ms) => `${ms.toFixed(1)} ms, ${(ms / floor).toFixed(2)}`,
  );
  console.log(
    `a token at best ${best} times the ${floor.toFixed(1)} ms that reading the weights takes at best ` +
      `(${(bytes / 1e6).toFixed(0)} MB); the median ${median} times`,
  );
}
