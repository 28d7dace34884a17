/** A worker that makes every collective call, and prints what each gave. */
import * as tf from '@tensorflow/tfjs';
import {joinCluster} from '../../src/node';

export interface EveryCall {
  rank: number;
  size: number;
  given: Record<string, {shape: number[]; dtype: string; values: number[]}>;
  /** Tensors at the end, less those before. */
  tensors: number;
  /** Messages of the calls that must be refused. */
  refused: string[];
}

const {numTensors} = tf.memory();
const cluster = await joinCluster();
const {rank, size} = cluster;
const x = tf.tensor2d([[rank + 1, -rank, 0.5]]);
const counts = tf.tensor1d([rank, 7], 'int32');
// Sums of many numbers of very different sizes, where the order of adding makes a difference.
const many = tf.tensor1d(Float32Array.from({length: 1000}, (_, i) => Math.sin(i + 1000 * rank) * 10 ** (i % 7)));

const given: Record<string, tf.Tensor> = {
  sum: await cluster.allReduce(x),
  mean: await cluster.allReduce(x, 'mean'),
  max: await cluster.allReduce(x, 'max'),
  min: await cluster.allReduce(x, 'min'),
  scalar: await cluster.allReduce(tf.scalar(rank + 1)),
  counts: await cluster.allReduce(counts),
  many: await cluster.allReduce(many),
  gathered: await cluster.allGather(x),
  gatheredCounts: await cluster.allGather(counts),
  fromFirst: await cluster.broadcast(x),
  fromLast: await cluster.broadcast(counts, size - 1),
  empty: await cluster.allReduce(tf.zeros([0, 3])),
};
// Asked for at once, over and over: they must not be mixed up.
const at = await Promise.all(Array.from({length: 20}, (_, i) => cluster.allReduce(tf.scalar(i * (rank + 1)))));
given['atOnce'] = tf.stack(at);

// Packed when the call returns, so that they may go; one is empty, and what comes after the scalar begins where TensorFlow wants no tensor to.
const parts = [x.clone(), tf.zeros([0, 2]), tf.scalar(rank), many.clone()];
const weight = tf.scalar(0.5);
const summing = cluster.sumAll(parts, weight);
tf.dispose(parts);
(await summing).forEach((part, i) => (given[`part ${i}`] = part));
[given['unweighted']] = await cluster.sumAll([x]);

const refused: string[] = [];
async function refuse(call: () => Promise<unknown>): Promise<void> {
  await call().catch((error: Error) => refused.push(error.message));
}
await refuse(() => cluster.allReduce(x, 'product' as 'sum'));
await refuse(() => cluster.allReduce(counts, 'mean'));
await refuse(() => cluster.allReduce(tf.tensor1d([true], 'bool')));
await refuse(() => cluster.allGather(tf.scalar(1)));
await refuse(() => cluster.broadcast(x, size));
await refuse(() => cluster.sumAll([x, counts]));
await refuse(() => cluster.sumAll([x], many as unknown as tf.Scalar));
await cluster.barrier();
await cluster.leave();
await refuse(() => cluster.allReduce(x));

const found: EveryCall = {
  rank,
  size,
  given: Object.fromEntries(
    Object.entries(given).map(([name, tensor]) => {
      const {shape, dtype} = tensor;
      return [name, {shape, dtype, values: Array.from(tensor.dataSync())}];
    }),
  ),
  tensors: 0,
  refused,
};
tf.dispose([x, counts, many, weight, ...at, ...Object.values(given)]);
// The arguments that were made in place: a scalar, an empty tensor, 20 scalars, a bool and a scalar.
found.tensors = tf.memory().numTensors - numTensors - 24;
process.stdout.write(`${JSON.stringify(found)}\n`);
