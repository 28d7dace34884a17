/**
 * What ranks divide among them besides rows: sequences and the state of the optimizer. The same is computed by one process, which the spec
 * does itself, and by each worker of a cluster, as which this file is run.
 *
 *     divided.ts <folder>     trains in the cluster, with checkpoints in the folder
 */
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import type {Cluster, MambaLM} from '../../src/node';
import {adamW, folderCheckpoints, joinCluster, mambaLM, tokenWindows, trainer} from '../../src/node';
import {sumOverRanks} from '../../src/training/cluster';
import type {GradientSums} from '../../src/training/gradients';
import {gradientSums, nextToken} from '../../src/training/gradients';
import {relaySums} from '../../src/training/relay';
import {smallText} from '../training/models';

export interface Divided {
  /** By mixer, the loss and the gradient of every weight, as sums over all labels. */
  gradients: Record<string, {loss: number; total: number; weights: Record<string, number[]>}>;
  /** Losses and weights of training with divided sequences, and with a divided optimizer. */
  sequence: Trained;
  optimizer: Trained;
  /** Moments that the optimizer keeps, in numbers. */
  moments: number;
  /** What the calls that are wrong say. */
  refused: string[];
}

export interface Trained {
  losses: number[];
  weights: number[][];
  /** Tensors after each step, one number if they were always the same. */
  tensors: number[];
}

const sizes = {vocabSize: 7, dModel: 8, nLayer: 2};
const models: Record<string, () => MambaLM> = {
  mamba1: () => mambaLM({...sizes, dState: 4}, {seed: 5}),
  mamba2: () => mambaLM({...sizes, mixer: 'mamba2', dState: 8, headDim: 4}, {seed: 6}),
};

/** Rows of 50, of which three ranks have 16, 17 and 17 positions; the window of the convolution and the state reach across. */
const data = (batchSize = 4) => tokenWindows(smallText, {batchSize, length: 50, seed: 3});
export const steps = 6;

const read = (x: tf.Tensor) => Array.from(x.dataSync());

/** Of all ranks, of the batch that `data` begins with; the first labels do not count. */
export async function gradients(mixer: string, cluster?: Cluster): Promise<Divided['gradients'][string]> {
  const model = models[mixer]();
  const {value} = await (await data().iterator()).next();
  const {xs, ys} = value as {xs: tf.Tensor2D; ys: tf.Tensor2D};
  const masked = tf.tidy(() => tf.concat([tf.fill([4, 5], -100, 'int32'), ys.slice([0, 5])], 1));
  const batches = [{xs, ys: masked}];
  let sums: GradientSums;
  if (cluster) sums = await sumOverRanks(await relaySums(model, batches, nextToken, cluster), cluster);
  else sums = gradientSums(model, batches, nextToken, {});
  const [[loss], [total]] = [read(sums.loss), read(sums.total)];
  const weights = Object.fromEntries(
    model.trainableWeights.map(({name, originalName}) => [originalName, read(sums.gradients[name])]),
  );
  model.dispose();
  return {loss, total, weights};
}

/** Trains to `until`, from the checkpoint in a folder if there is one. */
export async function train(
  until: number,
  divides: {cluster?: Cluster; sequenceParallel?: boolean; shardOptimizer?: boolean},
  folder?: string,
): Promise<Trained & {moments: number}> {
  const model = models['mamba1']();
  const optimizer = adamW({learningRate: 1e-3, clipNorm: 0.5});
  const losses: number[] = [];
  const tensors = new Set<number>();
  await trainer(model, {optimizer, ...divides}).fit(data(), {
    steps: until,
    checkpoint: folder === undefined ? undefined : {target: folderCheckpoints(folder)},
    callbacks: {
      onStep: ({loss}) => {
        losses.push(loss);
        tensors.add(tf.memory().numTensors);
      },
    },
  });
  const moments = (await optimizer.getWeights()).filter(({name}) => /\/[mv]$/.test(name));
  const result = {
    losses,
    weights: model.getWeights().map(read),
    tensors: [...tensors],
    moments: moments.reduce((sum, {tensor}) => sum + tensor.size, 0),
  };
  optimizer.dispose();
  model.dispose();
  return result;
}

async function divided(folder: string): Promise<Divided> {
  const cluster = await joinCluster();
  const {rank} = cluster;
  const found = {
    gradients: {mamba1: await gradients('mamba1', cluster), mamba2: await gradients('mamba2', cluster)},
    sequence: await train(steps, {cluster, sequenceParallel: true}, `${folder}/sequence`),
  };
  const {moments, ...optimizer} = await train(steps - 2, {cluster, shardOptimizer: true}, `${folder}/optimizer`);
  const refused: string[] = [];
  const refuse = (call: Promise<unknown>) => call.catch((error: Error) => refused.push(error.message));
  await refuse(train(rank === 1 ? 3 : 2, {cluster}));
  await refuse(
    trainer(models['mamba1'](), {optimizer: adamW({learningRate: 1e-3}), cluster}).fit(data(2 + rank), {steps: 1}),
  );
  const short = tokenWindows(smallText, {batchSize: 1, length: 2, seed: 3});
  const options = {optimizer: adamW({learningRate: 1e-3}), cluster, sequenceParallel: true};
  const model = models[rank === 2 ? 'mamba2' : 'mamba1']();
  await refuse(trainer(model, options).fit(short, {steps: 1}));
  await refuse(trainer(models['mamba1'](), options).fit(short, {steps: 1}));
  await refuse(cluster.send(tf.scalar(1), rank));
  // Round about, all at once, twice.
  const next = (rank + 1) % cluster.size;
  const sent = [1, 2].map((i) => cluster.send(tf.tensor1d([rank, i]), next));
  const last = (rank + cluster.size - 1) % cluster.size;
  const received = await Promise.all([1, 2].map(() => cluster.receive([2], last)));
  await Promise.all(sent);
  refused.push(received.map((x) => read(x).join()).join(' '));
  await cluster.leave();
  return {...found, optimizer, moments, refused};
}

const [, script, folder] = process.argv;
if (script === fileURLToPath(import.meta.url)) process.stdout.write(`${JSON.stringify(await divided(folder))}\n`);
