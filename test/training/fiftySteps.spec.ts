/**
 * The model of the main job, trained for 50 steps: the losses are those of the `cpu` backend, which trains the same model on the same
 * batches beside it, and no memory is left behind.
 */
import * as tf from '@tensorflow/tfjs';
import {model as config, recipe} from '../../models/shakespeare/recipe';
import {mambaLM} from '../../src/lm/model';
import {characterTokenizer} from '../../src/lm/tokenizers';
import {adamW} from '../../src/training/adamW';
import {tokenWindows} from '../../src/training/data';
import {warmupCosine} from '../../src/training/schedules';
import {trainer} from '../../src/training/trainer';
import {onCpu} from '../support/backend';
import {corpus} from '../support/fixtures';

/** Steps of the main job are of 16 rows of 96; these are smaller, for backends that run in software. */
const size = {batchSize: 2, length: 48, seed: recipe.seed};
const steps = 50;

interface Training {
  losses: number[];
  /** After each step. */
  memory: {numTensors: number; numBytesInGPU?: number}[];
  backends: Set<string>;
}

async function train(text: string): Promise<Training> {
  const tokenizer = characterTokenizer(text);
  const model = mambaLM({...config, vocabSize: tokenizer.vocabSize}, {seed: recipe.seed});
  const {peak, floor, weightDecay, clipNorm} = recipe;
  const warmupSteps = Math.ceil(recipe.warmup * steps);
  const optimizer = adamW({
    learningRate: warmupCosine({peak, warmupSteps, totalSteps: steps, floor}),
    weightDecay,
    clipNorm,
  });
  const result: Training = {losses: [], memory: [], backends: new Set()};
  await trainer(model, {optimizer}).fit(tokenWindows(tokenizer.encode(text), size), {
    steps,
    callbacks: {
      onStep: ({loss}) => {
        const {numTensors, numBytesInGPU} = tf.memory() as tf.MemoryInfo & {numBytesInGPU?: number};
        result.losses.push(loss);
        result.memory.push({numTensors, numBytesInGPU});
        result.backends.add(tf.getBackend());
      },
    },
  });
  optimizer.dispose();
  model.dispose();
  return result;
}

describe('fifty steps of the main job', () => {
  let backend: string;
  let here: Training;
  let cpu: Training;
  let before: number;

  beforeAll(async () => {
    const text = await corpus();
    backend = tf.getBackend();
    before = tf.memory().numTensors;
    here = await train(text);
    cpu = await onCpu(() => train(text));
  });

  it('have the losses of the cpu backend', () => {
    expect([...here.backends]).toEqual([backend]);
    expect([...cpu.backends]).toEqual(['cpu']);
    expect(here.losses.length).toBe(steps);
    const difference = Math.max(...here.losses.map((loss, i) => Math.abs(loss - cpu.losses[i])));
    expect(difference).toBeLessThan(1e-3);
    expect(here.losses[steps - 1]).toBeLessThan(0.75 * here.losses[0]);
  });

  it('leave no tensors and no memory behind', () => {
    const [, second] = here.memory;
    for (const memory of here.memory.slice(2)) expect(memory).toEqual(second);
    expect(tf.memory().numTensors).toBe(before);
  });
});
