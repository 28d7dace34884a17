/**
 * Whether all ranks of a cluster are about to do the same. A rank with another model or other options would make calls that the others do not
 * make, and all would wait for each other until their patience is over; told before the first step, it is an error that says what differs.
 */
import * as tf from '@tensorflow/tfjs';
import type {Cluster} from '../cluster/cluster';
import {seedFor} from '../mixers/initializers';
import type {Batch} from './data';

/** Values of a batch that are compared. */
const SAMPLE = 4096;

/**
 * @param what By names that an error can have, what must be the same everywhere; JSON must be able to hold it.
 * @throws Error on every rank, naming what differs and where.
 */
export async function agree(op: string, what: Record<string, unknown>, cluster: Cluster): Promise<void> {
  const names = Object.keys(what);
  const digests = names.map((name) => (seedFor(0, String(JSON.stringify(what[name]))) ?? 0) | 0);
  const mine = tf.tensor2d(digests, [1, names.length], 'int32');
  const all = await cluster.allGather(mine).finally(() => mine.dispose());
  const rows = await all.array().finally(() => all.dispose());
  for (const [i, name] of names.entries()) {
    const others = rows.flatMap((row, rank) => (row[i] === rows[0][i] ? [] : [rank]));
    if (others.length === 0) continue;
    const who = others.length === 1 ? `worker ${others[0]} has` : `workers ${others.join(', ')} have`;
    throw new Error(`${op}: all workers of a cluster must be given the same, but ${who} another ${name} than worker 0`);
  }
}

/** @throws Error on every rank unless all have been given the same batch. */
export async function agreeOnData(op: string, {xs}: Batch, cluster: Cluster): Promise<void> {
  const [first] = [xs].flat();
  const sample = tf.tidy(() => first.flatten().slice(0, Math.min(SAMPLE, first.size)));
  const values = Array.from(await sample.data().finally(() => sample.dispose()));
  await agree(op, {'first batch (its data, order or seed)': [first.shape, values]}, cluster);
}
