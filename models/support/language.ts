/** Training a model of sequences to say what comes next, by steps or by the clock, with its losses on what it does not train on. */
import type {MambaLM} from '../../src';
import {adamW, tokenWindows, trainer} from '../../src';
import type {BatchDataset} from '../../src';
import {Pace} from './pace';

export interface LanguageOptions {
  seed: number;
  steps: number;
  minutes?: number;
  batchSize: number;
  /** Tokens in a row. */
  length: number;
  peak: number;
  warmupSteps: number;
  weightDecay: number;
  /** Of the running mean of the weights, which then is what is validated and kept. */
  emaDecay?: number;
  /** Steps between two validations, each a line of the log and a point of the curve. */
  every: number;
}

/** What was known at a step: mean losses in nats, of the steps since the point before and of the validation. */
export interface CurvePoint {
  step: number;
  seconds: number;
  training: number;
  validation: number;
}

export interface Trained {
  steps: number;
  seconds: number;
  parameters: number;
  curve: CurvePoint[];
}

/**
 * Trains on random windows, or on batches of one's own.
 *
 * @param validation What it does not train on, in windows of a length of its own.
 * @param onBest Called with what is to be kept in place, whenever the validation was never better.
 */
export async function trainLanguage(
  model: MambaLM,
  tokens: ArrayLike<number> | BatchDataset,
  validation: BatchDataset,
  options: LanguageOptions,
  onBest?: (point: CurvePoint) => Promise<void>,
): Promise<Trained> {
  const {seed, steps, minutes, batchSize, length, weightDecay, emaDecay, every} = options;
  const pace = new Pace({steps, minutes});
  const optimizer = adamW({learningRate: pace.learningRate(options), weightDecay, clipNorm: 1, beta2: 0.95});
  const dataset = 'length' in tokens ? tokenWindows(tokens, {batchSize, length, seed}) : tokens;
  const work = trainer(model, {optimizer, ...(emaDecay !== undefined && {emaDecay})});
  const curve: CurvePoint[] = [];
  let losses: number[] = [];
  let best = Infinity;
  const add = async (step: number, loss: number) => {
    const training = losses.reduce((sum, value) => sum + value, 0) / Math.max(losses.length, 1);
    losses = [];
    const point = {step, seconds: pace.seconds, training, validation: loss};
    curve.push(point);
    console.log(
      `step ${step}: training ${training.toFixed(4)}, validation ${loss.toFixed(4)}, ${pace.seconds.toFixed(0)} s`,
    );
    if (!(loss < best)) return;
    best = loss;
    await work.averaged(async () => onBest?.(point));
  };
  const {step} = await work.fit(dataset, {
    steps,
    verbose: 0,
    signal: pace.signal,
    reportEvery: 10,
    validation: {dataset: validation, every},
    callbacks: {
      onStep: ({loss}) => losses.push(loss),
      onValidation: (result) => add(result.step, result.loss),
    },
  });
  if (curve.at(-1)?.step !== step) {
    // The clock ended it, and the last steps have not been looked at.
    await add(step, await work.averaged(async () => (await work.evaluate(validation)).loss));
  }
  work.dispose();
  optimizer.dispose();
  return {steps: step, seconds: pace.seconds, parameters: model.countParams(), curve};
}

/** Nats a token over all of them, in rows of `length`; the model sees nothing before a row. */
export async function lossOver(
  model: MambaLM,
  tokens: ArrayLike<number>,
  options: {batchSize: number; length: number},
): Promise<number> {
  const evaluator = trainer(model, {optimizer: adamW({learningRate: 1})});
  return (await evaluator.evaluate(tokenWindows(tokens, {...options, order: 'sequential'}))).loss;
}
