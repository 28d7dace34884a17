/** Training on a task in stages, from short episodes to long ones, under one schedule: what is learned on short ones is soon kept for long. */
import type {MambaLM} from '../../src/node';
import {adamW, trainer, warmupCosine} from '../../src/node';
import type {Draw} from './episodes';
import {episodes} from './episodes';

export interface Stage {
  /** What the log calls it. */
  name: string;
  draw: Draw;
  steps: number;
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
}

/** Trains through all stages and returns the seconds that it took; each line of the log is a mean loss in nats an answer. */
export async function trainInStages(model: MambaLM, stages: readonly Stage[], options: StagesOptions): Promise<number> {
  const {seed, batchSize, peak, warmupSteps, weightDecay, every} = options;
  const totalSteps = stages.reduce((sum, {steps}) => sum + steps, 0);
  const learningRate = warmupCosine({peak, warmupSteps, totalSteps, floor: peak / 100});
  const optimizer = adamW({learningRate, weightDecay, clipNorm: 1});
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1e3;
  for (const [i, {name, draw, steps}] of stages.entries()) {
    let losses: number[] = [];
    await trainer(model, {optimizer}).fit(episodes(draw, {batchSize, seed: 1000 * seed + i}), {
      steps,
      verbose: 0,
      reportEvery: Math.min(10, every),
      callbacks: {
        onStep: ({step, loss}) => {
          losses.push(loss);
          if (step % every !== 0 && step !== steps) return;
          const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
          console.log(`${name}, step ${step} of ${steps}: loss ${mean.toPrecision(3)}, ${seconds().toFixed(0)} s`);
          losses = [];
        },
      },
    });
  }
  optimizer.dispose();
  return seconds();
}
