/**
 * The main job: milliseconds of a training step and characters per second. On wasm also over typed arrays with explicit transposes in the
 * matrix products, which is what it does without SIMD; the two take turns, so that both meet the same machine.
 */
import {readFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import {model as config, recipe} from '../models/shakespeare/recipe';
import {adamW, characterTokenizer, mambaLM, restartBackend, tokenWindows, trainer} from '../src';

/** Times of a step in ms, from a fresh model; the first two steps compile and warm up, and do not count. */
async function stepTimes(text: string, steps: number): Promise<number[]> {
  const tokenizer = characterTokenizer(text);
  const model = mambaLM({...config, vocabSize: tokenizer.vocabSize}, {seed: recipe.seed});
  const optimizer = adamW({learningRate: recipe.floor, weightDecay: recipe.weightDecay, clipNorm: recipe.clipNorm});
  const {batchSize, length, seed} = recipe;
  const ends: number[] = [];
  await trainer(model, {optimizer}).fit(tokenWindows(tokenizer.encode(text), {batchSize, length, seed}), {
    steps: steps + 2,
    callbacks: {onStep: () => void ends.push(performance.now())},
  });
  optimizer.dispose();
  model.dispose();
  return ends.slice(2).map((end, i) => end - ends[i + 1]);
}

/** The same without SIMD kernels. The backend starts anew under its own name, as the choice of explicit transposes goes by the name. */
async function withoutSimd<T>(work: () => Promise<T>): Promise<T> {
  const {validate} = WebAssembly;
  const {warn} = console;
  WebAssembly.validate = () => false;
  console.warn = () => {};
  try {
    await restartBackend();
    return await work();
  } finally {
    WebAssembly.validate = validate;
    console.warn = warn;
    await restartBackend();
  }
}

function report(label: string, times: number[]): {best: number; median: number} {
  const sorted = [...times].sort((a, b) => a - b);
  const [best, median] = [sorted[0], sorted[sorted.length >> 1]];
  const characters = recipe.batchSize * recipe.length;
  console.log(
    `${label.padEnd(16)} best ${best.toFixed(1)} ms a step, ${((1000 * characters) / best).toFixed(0)} characters/s; ` +
      `median ${median.toFixed(1)} ms, ${((1000 * characters) / median).toFixed(0)} characters/s`,
  );
  return {best, median};
}

export async function benchTrain(): Promise<void> {
  const backend = tf.getBackend();
  console.log(`main job, ${recipe.batchSize}×${recipe.length} characters a step, on ${backend}`);
  const text = await readFile(new URL('../models/data/tinyshakespeare.txt', import.meta.url), 'utf8');
  const own: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < 4; round++) {
    own.push(...(await stepTimes(text, 10)));
    if (backend === 'wasm') plain.push(...(await withoutSimd(() => stepTimes(text, 10))));
  }
  const a = report(backend, own);
  if (plain.length > 0) {
    const b = report('typed arrays', plain);
    console.log(
      `${(b.best / a.best).toFixed(1)} times the characters per second of typed arrays (medians ${(b.median / a.median).toFixed(1)})`,
    );
  }
}
