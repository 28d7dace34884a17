/** Training runs for the specs of the trainer: the same data, model and optimizer at every call. */
import * as tf from '@tensorflow/tfjs';
import {adamW} from '../../src/training/adamW';
import type {BatchDataset} from '../../src/training/data';
import {tokenWindows} from '../../src/training/data';
import type {FitOptions, StepReport} from '../../src/training/options';
import {warmupCosine} from '../../src/training/schedules';
import {trainer} from '../../src/training/trainer';
import {numbers, smallLM, smallText} from './models';

export const schedule = () => warmupCosine({peak: 0.02, warmupSteps: 3, totalSteps: 30});
export const optimizer = () => adamW({schedule: schedule(), clipNorm: 1});
export const windows = (options: {batchSize?: number; seed?: number} = {}) =>
  tokenWindows(smallText, {batchSize: 3, length: 12, seed: 4, ...options});
export const heldOut = () => tokenWindows(smallText.slice(0, 60), {batchSize: 2, length: 12, order: 'sequential'});

/** The given rows [B,L] of ids and labels, one batch each. */
export function fixedData(batches: {xs: number[][]; ys: number[][]}[]): BatchDataset {
  return {
    iterator: async () => {
      const rest = [...batches];
      return {
        next: async () => {
          const batch = rest.shift();
          if (!batch) return {done: true, value: undefined};
          return {
            done: false,
            value: {xs: tf.tensor2d(batch.xs, undefined, 'int32'), ys: tf.tensor2d(batch.ys, undefined, 'int32')},
          };
        },
      };
    },
  };
}

/** Weights and optimizer of a fresh language model after the given runs of fit, each by a new model, optimizer and trainer. */
export async function trained(dataset: () => BatchDataset, runs: FitOptions[], gradientAccumulation = 1) {
  let result: {weights: number[][]; state: number[][]; reports: StepReport[]} | undefined;
  const reports: StepReport[] = [];
  for (const options of runs) {
    const model = smallLM();
    const ofModel = optimizer();
    const onStep = (report: StepReport) => reports.push({...report, tokensPerSecond: 0});
    await trainer(model, {optimizer: ofModel, gradientAccumulation}).fit(dataset(), {
      callbacks: {onStep},
      ...options,
    });
    result = {
      weights: await numbers(model.getWeights()),
      state: await numbers((await ofModel.getWeights()).map(({tensor}) => tensor)),
      reports,
    };
    ofModel.dispose();
    model.dispose();
  }
  return result!;
}
