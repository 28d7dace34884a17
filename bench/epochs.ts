/**
 * `bench -- epochs`: a training run of the size of stories260K, 20 passes over a short text with rows of 128 tokens, and how many dispatches a step
 * and a block take on WebGPU. The time of such a run is what a page that learns is known by.
 */
import {readFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig} from '../src';
import {mambaLM} from '../src';
import {fit} from '../src/worker/fitting';
import {sentSoFar} from './measure';

/** 261,760 parameters; the ids are bytes. */
export const config: MambaConfig = {vocabSize: 512, dModel: 64, nLayer: 7};

/** Rows of 128 tokens, 16 steps to a pass over 16,384 tokens. */
export const recipe = {
  batchSize: 8,
  length: 128,
  seed: 1,
  optimizer: {learningRate: 3e-3, weightDecay: 0.1, clipNorm: 1},
};
const EPOCHS = 20;
const STEPS = 16;

/** The text, as bytes; from the folder that `npm run` and the archive for GPUs begin in. */
export async function readTokens(): Promise<number[]> {
  const text = await readFile('models/data/tinyshakespeare.txt');
  return [...text.subarray(0, STEPS * recipe.batchSize * recipe.length)];
}

/** Dispatches of one step of training with so many blocks. */
export async function dispatchesOfStep(data: number[], nLayer: number): Promise<number> {
  const model = mambaLM({...config, nLayer}, {seed: 1});
  const ends: number[] = [];
  const emit = (event: string) => event === 'step' && ends.push(sentSoFar());
  await fit(model, {...recipe, data, steps: 2}, new AbortController().signal, emit);
  model.dispose();
  return ends[1] - ends[0];
}

/** Of a step, and of what a block adds to it; undefined where there are none. */
export async function printDispatches(data: number[]): Promise<void> {
  if (tf.getBackend() !== 'webgpu') return;
  const [one, all] = [await dispatchesOfStep(data, 1), await dispatchesOfStep(data, config.nLayer)];
  const each = (all - one) / (config.nLayer - 1);
  console.log(`${all} dispatches a step of training, ${each.toFixed(1)} of them to a block`);
}

export async function benchEpochs(): Promise<void> {
  const data = await readTokens();
  const model = mambaLM(config, {seed: 1});
  console.log(
    `${model.countParams()} parameters, ${EPOCHS} passes over ${data.length} tokens in steps of ` +
      `${recipe.batchSize} × ${recipe.length}, on ${tf.getBackend()}`,
  );
  await printDispatches(data);
  const losses: number[] = [];
  const emit = (event: string, detail: unknown) => event === 'step' && losses.push((detail as {loss: number}).loss);
  const timed = async (steps: number) => {
    const begin = performance.now();
    await fit(model, {...recipe, data, steps, reportEvery: STEPS}, new AbortController().signal, emit);
    return (performance.now() - begin) / 1000;
  };
  console.log(`first step, with what is compiled: ${(await timed(1)).toFixed(2)} s`);
  const seconds = await timed(EPOCHS * STEPS);
  const rate = (EPOCHS * data.length) / seconds;
  console.log(
    `${EPOCHS} passes in ${seconds.toFixed(2)} s: ${((1000 * seconds) / (EPOCHS * STEPS)).toFixed(1)} ms a step, ` +
      `${rate.toFixed(0)} tokens/s; loss ${losses[0].toFixed(2)} to ${losses.at(-1)!.toFixed(2)}`,
  );
  model.dispose();
}
