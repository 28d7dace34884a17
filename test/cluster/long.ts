/**
 * By hand, as it takes minutes: sequences of 65,536 tokens in one process, and divided among 2, 3 and 4; prints how far losses and gradients
 * are from each other. A tiny model, as what is looked at is the length.
 *
 *     node --import tsx test/cluster/long.ts [length]
 */
import {fileURLToPath} from 'node:url';
import type * as tf from '@tensorflow/tfjs';
import type {Cluster} from '../../src/node';
import {adamW, joinCluster, mambaLM, tokenWindows, trainer} from '../../src/node';
import {sumOverRanks} from '../../src/training/cluster';
import {gradientSums, nextToken} from '../../src/training/gradients';
import {relaySums} from '../../src/training/relay';
import {relativeError} from '../support/closeness';
import {seededRandom} from '../support/arrays';
import {runCluster} from './processes';

const [, script, length = '65536', role] = process.argv;
const steps = 5;

interface Found {
  losses: number[];
  gradients: number[][];
}

const makeModel = () => mambaLM({vocabSize: 17, dModel: 8, nLayer: 2, dState: 4}, {seed: 5});

function data() {
  const random = seededRandom(3);
  const tokens = Array.from({length: 3 * Number(length)}, () => Math.floor(17 * random() ** 2));
  return tokenWindows(tokens, {batchSize: 2, length: Number(length), seed: 3});
}

async function compute(cluster?: Cluster): Promise<Found> {
  const model = makeModel();
  const {value} = await (await data().iterator()).next();
  const batches = [value as {xs: tf.Tensor2D; ys: tf.Tensor2D}];
  const sums = cluster
    ? await sumOverRanks(await relaySums(model, batches, nextToken, cluster), cluster)
    : gradientSums(model, batches, nextToken, {});
  const gradients = model.trainableWeights.map(({name}) => Array.from(sums.gradients[name].dataSync()));
  const losses: number[] = [];
  await trainer(model, {optimizer: adamW({learningRate: 3e-3}), cluster, sequenceParallel: cluster && true}).fit(
    data(),
    {
      steps,
      verbose: 0,
      callbacks: {onStep: ({loss}) => void losses.push(loss)},
    },
  );
  return {losses, gradients};
}

if (role === 'worker') {
  const cluster = await joinCluster();
  const found = await compute(cluster);
  await cluster.leave();
  process.stdout.write(`${JSON.stringify(found)}\n`);
} else if (script === fileURLToPath(import.meta.url)) {
  const alone = await compute();
  const lines = [`length ${length}; losses of one process: ${alone.losses.map((loss) => loss.toFixed(6)).join(' ')}`];
  for (const size of [2, 3, 4]) {
    const [found] = await runCluster<Found>('long.ts', size, [length, 'worker']);
    const error = (a: number[], b: number[]) => relativeError(Float64Array.from(a), Float64Array.from(b));
    const worst = Math.max(...alone.gradients.map((gradient, i) => error(found.gradients[i], gradient)));
    lines.push(
      `${size} workers: losses to ${error(found.losses, alone.losses).toExponential(1)}, gradients to ${worst.toExponential(1)}`,
    );
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}
