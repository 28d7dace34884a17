/**
 * `npm run reproduce -- splice --data <folder>`: splice junctions told apart by a Mamba that reads both strands, beside a convolution of the
 * same size and a logistic regression, all trained alike; each seed has a split of its own, a fifth of it to be measured on.
 */
import {readFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import {adamW, crossEntropy, trainer} from '../../src/node';
import type {Batch, BatchDataset} from '../../src/node';
import {Random, shuffled} from '../../src/random';
import {finish, readOptions, startJob, UsageError} from '../support/job';
import {Pace} from '../support/pace';
import {BASES} from './bases';
import {classifiers} from './classifiers';
import type {Junction} from './junctions';
import {LENGTH, readJunctions} from './junctions';

const name = 'splice';
const recipe = {batchSize: 64, peak: 2e-3, warmupSteps: 50, weightDecay: 0.1, tested: 0.2};
const options = {
  seed: {help: 'the first', value: 1},
  seeds: {help: 'how many', value: 5},
  epochs: {help: 'passes over what is trained on', value: 25},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, Object.keys(classifiers));
  if (!given) return;
  const {seed: first, seeds, epochs, minutes, out, data = '.'} = given;
  const text = await readFile(`${data}/splice.data`, 'utf8').catch(() => {
    throw new UsageError(
      `--data must be a folder with splice.data, which models/dna/README.md says how to get, but is ${data}`,
    );
  });
  const junctions = readJunctions(text);
  await startJob(given);
  console.log(`${junctions.length} different sequences`);
  const runs: Array<{which: string; seed: number; parameters: number; accuracy: number; seconds: number}> = [];
  for (let seed = first; seed < first + seeds; seed++) {
    const mixed = shuffled(junctions, new Random(seed));
    const from = Math.floor(mixed.length * (1 - recipe.tested));
    for (const which of given.mixers) {
      const model = classifiers[which](100 * seed);
      const steps = Math.floor(from / recipe.batchSize) * epochs;
      const seconds = await fit(model, batches(mixed.slice(0, from), seed), {steps, minutes});
      const run = {
        which,
        seed,
        parameters: model.countParams(),
        accuracy: await share(model, mixed.slice(from)),
        seconds,
      };
      console.log(
        `${which}, seed ${seed}: ${(100 * run.accuracy).toFixed(2)} % of ${mixed.length - from}, ` +
          `${run.parameters.toLocaleString('en')} parameters, ${seconds.toFixed(0)} s`,
      );
      runs.push(run);
      await finish(out, {...recipe, epochs, runs});
      model.dispose();
    }
  }
}

function stack(junctions: readonly Junction[]): Batch {
  const values = new Float32Array(junctions.length * LENGTH * BASES.length);
  junctions.forEach(({bases}, row) => values.set(bases, row * bases.length));
  return {
    xs: tf.tensor3d(values, [junctions.length, LENGTH, BASES.length]),
    ys: tf.tensor1d(
      Int32Array.from(junctions, ({kind}) => kind),
      'int32',
    ),
  };
}

/** Pass after pass, each in an order of its own; the rows that are left over wait for the next. */
function batches(junctions: readonly Junction[], seed: number): BatchDataset {
  const {batchSize} = recipe;
  return {
    iterator: async () => {
      const random = new Random(1000 * seed);
      let order: Junction[] = [];
      return {
        next: async () => {
          if (order.length < batchSize) order = shuffled(junctions, random);
          return {done: false, value: stack(order.splice(0, batchSize))};
        },
      };
    },
  };
}

async function fit(
  model: tf.LayersModel,
  dataset: BatchDataset,
  pacing: {steps: number; minutes?: number},
): Promise<number> {
  const pace = new Pace(pacing);
  const optimizer = adamW({learningRate: pace.learningRate(recipe), weightDecay: recipe.weightDecay, clipNorm: 1});
  const loss = (labels: Batch['ys'], logits: tf.Tensor | tf.Tensor[]) =>
    crossEntropy({logits: logits as tf.Tensor, labels: labels as tf.Tensor});
  await trainer(model, {optimizer, loss}).fit(dataset, {
    steps: pacing.steps,
    verbose: 0,
    reportEvery: 50,
    signal: pace.signal,
  });
  optimizer.dispose();
  return pace.seconds;
}

/** The share that is told right. */
async function share(model: tf.LayersModel, junctions: readonly Junction[]): Promise<number> {
  const {xs, ys} = stack(junctions);
  const right = tf.tidy(() =>
    (model.predict(xs, {batchSize: 128}) as tf.Tensor)
      .argMax(-1)
      .equal(ys as tf.Tensor)
      .sum(),
  );
  const count = (await right.data())[0];
  tf.dispose([xs, ys, right]);
  return count / junctions.length;
}
