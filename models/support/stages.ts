/** Training on a task in stages, from short episodes to long ones, under one schedule: what is learned on short ones is soon kept for long. */
import type {MambaLM} from '../../src/node';
import {adamW, trainer} from '../../src/node';
import type {Draw} from './episodes';
import {episodes} from './episodes';
import {Pace} from './pace';

export interface Stage {
  /** What the log calls it. */
  name: string;
  /** Of several kinds of episodes any comes at each step. */
  draw: Draw | readonly Draw[];
  /** The most steps. */
  steps: number;
  /** A mean loss below which there is no more to learn here. */
  until?: number;
}

export interface StagesOptions {
  seed: number;
  batchSize: number;
  /** The highest learning rate. */
  peak: number;
  warmupSteps: number;
  weightDecay: number;
  /** Lines of the log are so many steps apart. */
  every: number;
  /** The most that all of it may take. */
  minutes?: number;
}

/** Trains through all stages, as long as there is time; each line of the log is a mean loss in nats an answer. */
export async function trainInStages(
  model: MambaLM,
  stages: readonly Stage[],
  options: StagesOptions,
): Promise<{steps: number; seconds: number}> {
  const {seed, batchSize, minutes, weightDecay, every} = options;
  const pace = new Pace({steps: stages.reduce((sum, {steps}) => sum + steps, 0), minutes});
  const optimizer = adamW({learningRate: pace.learningRate(options), weightDecay, clipNorm: 1});
  let made = 0;
  for (const [i, {name, draw, steps, until = 0}] of stages.entries()) {
    let losses: number[] = [];
    let last = Infinity;
    const learned = new AbortController();
    const {step: done} = await trainer(model, {optimizer}).fit(episodes(draw, {batchSize, seed: 1000 * seed + i}), {
      steps,
      verbose: 0,
      signal: AbortSignal.any([learned.signal, ...(pace.signal ? [pace.signal] : [])]),
      reportEvery: Math.min(10, every),
      callbacks: {
        onStep: ({step, loss}) => {
          losses.push(loss);
          // Twice in a row, as one batch may be easy.
          if (Math.max(loss, last) < until) learned.abort();
          last = loss;
          if (step % every !== 0 && step !== steps) return;
          const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
          console.log(`${name}, step ${step} of ${steps}: loss ${mean.toPrecision(3)}, ${pace.seconds.toFixed(0)} s`);
          losses = [];
        },
      },
    });
    made += done;
  }
  optimizer.dispose();
  return {steps: made, seconds: pace.seconds};
}
