/**
 * Training by the clock or by steps for models of `tf.layers`: AdamW, the mean of the weights over the last steps, a line of the log now and
 * then, and what has been learned so far kept every minute.
 */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset, TrainerOptions} from '../../src/node';
import {adamW, trainer} from '../../src/node';
import type {PaceOptions, RateOptions} from './pace';
import {Pace} from './pace';

export interface FitOptions extends PaceOptions, RateOptions {
  /** What the log calls it. */
  name: string;
  weightDecay: number;
  /** The cross entropy of a language model unless given. */
  loss?: TrainerOptions['loss'];
  /** Lines of the log are so many steps apart. */
  every: number;
  /** Of the mean of the weights. */
  emaDecay?: number;
  /** Looks at the model, with the mean of its weights in place, about every minute and at the end; what it says goes into the log. */
  look: (progress: Fitted) => Promise<object>;
}

export interface Fitted {
  steps: number;
  /** Of training, without what looking at it took. */
  seconds: number;
}

/** What was seen, and when. */
export type Curve = Array<Fitted & object>;

/** Trains; the model then has the mean of its weights. */
export async function fitModel<B extends {xs: tf.Tensor; ys: tf.Tensor}>(
  model: tf.LayersModel,
  dataset: BatchDataset<B>,
  options: FitOptions,
): Promise<Fitted & {curve: Curve}> {
  const {name, steps, weightDecay, loss, every, emaDecay = 0.99, look} = options;
  const pace = new Pace(options);
  const optimizer = adamW({learningRate: pace.learningRate(options), weightDecay, clipNorm: 1});
  const fitting = trainer(model, {optimizer, emaDecay, loss});
  const curve: Curve = [];
  let losses: number[] = [];
  let [looking, next] = [0, 60];
  const see = async (step: number) => {
    const start = pace.seconds;
    const progress = {steps: step, seconds: start - looking};
    const seen = {...progress, ...(await look(progress))};
    looking += pace.seconds - start;
    curve.push(seen);
    console.log(`${name}: ${JSON.stringify(seen)}`);
  };
  const {step: made} = await fitting.fit(dataset, {
    steps,
    verbose: 0,
    signal: pace.signal,
    reportEvery: Math.min(10, every),
    callbacks: {
      onStep: async ({step, loss}) => {
        losses.push(loss);
        if (step % every === 0 || step === steps) {
          const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
          console.log(`${name}, step ${step}: loss ${mean.toPrecision(3)}, ${pace.seconds.toFixed(0)} s`);
          losses = [];
        }
        if (pace.seconds < next) return;
        next = pace.seconds + 60;
        await fitting.averaged(() => see(step));
      },
    },
  });
  const done = {steps: made, seconds: pace.seconds - looking};
  const means = await fitting.averaged(async () => {
    await see(made);
    return model.getWeights().map((weight) => weight.clone());
  });
  model.setWeights(means);
  tf.dispose(means);
  fitting.dispose();
  optimizer.dispose();
  return {...done, curve};
}
