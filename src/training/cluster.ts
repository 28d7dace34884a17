/**
 * Training by several processes, each on its share of every batch (data parallel): the sums of their gradients are those of the whole
 * batch, so all ranks make the same step, and their weights stay the same, bit for bit.
 *
 * Every rank reads the same batches and takes its rows of them. So a position in the data means the same for any number of ranks, and a
 * checkpoint can be gone on from by another number.
 */
import * as tf from '@tensorflow/tfjs';
import type {Cluster} from '../cluster/cluster';
import type {CheckpointFiles, TrainingStore} from './checkpoint';
import type {Batch} from './data';
import type {GradientSums, Objective, Run} from './gradients';
import {batchGradients, gradientSums} from './gradients';

/** Numbers that travel together: 4 MiB, ten times what takes as long as a call by itself does (guides/scaling.md). */
const BUCKET = 1 << 20;
/** Fewer are not worth a call of their own, which costs each rank half a millisecond of its core. */
const SMALL = 1 << 18;

/** Rows of a batch, and whether they count. */
export interface Share {
  batch: Batch;
  weight: 0 | 1;
}

/**
 * The rows of a batch that belong to this rank, as new tensors. A rank for which there is none takes the first, which the weight 0
 * leaves out again: all ranks must have gradients to add.
 */
export function shareOf({xs, ys, sequenceIds}: Batch, {rank, size}: Cluster): Share {
  const rows = [xs].flat()[0].shape[0];
  const first = Math.floor((rows * rank) / size);
  const count = Math.floor((rows * (rank + 1)) / size) - first;
  const [begin, length] = count > 0 ? [first, count] : [0, 1];
  const cut = (tensor: tf.Tensor) => tf.slice(tensor, begin, length);
  return {
    batch: {
      xs: Array.isArray(xs) ? xs.map(cut) : cut(xs),
      ys: Array.isArray(ys) ? ys.map(cut) : cut(ys),
      ...(sequenceIds && {sequenceIds: cut(sequenceIds) as tf.Tensor2D}),
    },
    weight: count > 0 ? 1 : 0,
  };
}

/**
 * Sums over all ranks of the gradients of their rows, which set out in buckets while the way back through the model is still going on: the
 * last layers' first.
 */
export async function sumsOfShares(
  model: tf.LayersModel,
  batches: readonly Batch[],
  objective: Objective,
  how: Run,
  cluster: Cluster,
): Promise<GradientSums> {
  let buckets: Buckets;
  const left = model.trainableWeights.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape as number[]), 0);
  tf.tidy(() => {
    const shares = batches.map((batch) => shareOf(batch, cluster));
    const weights = shares.map(({weight}) => weight);
    const rows = shares.map(({batch}) => batch);
    if (batches.length === 1) {
      // Packing multiplies by the count, the gradients as well as the loss and the 1 of which the total comes.
      buckets = new Buckets(cluster, left, objective.count(rows[0].ys).mul(weights[0]));
      const add = ({name}: tf.Variable, gradient: tf.Tensor) => buckets.add(name, gradient);
      const {value} = batchGradients(model, rows[0], objective, how, add);
      buckets.end(value, tf.scalar(1));
    } else {
      buckets = new Buckets(cluster, left);
      const add = (name: string, sum: tf.Tensor) => buckets.add(name, sum);
      const {gradients, loss, total} = gradientSums(model, rows, objective, how, weights, add);
      for (const [name, sum] of Object.entries(gradients)) add(name, sum); // that the last batch has none of
      buckets.end(loss, total);
    }
  });
  return buckets!.sums();
}

/** Sums over all ranks; disposes the sums of this one. */
export async function sumOverRanks({loss, gradients, total}: GradientSums, cluster: Cluster): Promise<GradientSums> {
  const buckets = new Buckets(cluster, Infinity);
  for (const [name, sum] of Object.entries(gradients)) buckets.add(name, sum);
  buckets.end(loss, total);
  tf.dispose([gradients, loss, total]);
  return buckets.sums();
}

/**
 * Tensors that are summed over all ranks, many together: of those on the way to the end at most half, as it is the last that everybody waits
 * for.
 */
class Buckets {
  private readonly names: string[] = [];
  private readonly pending: Promise<tf.Tensor[]>[] = [];
  private open: tf.Tensor[] = [];
  private room: number;

  /** @param left So many numbers are on their way, one after the other; Infinity if they are all there. */
  constructor(
    private readonly cluster: Cluster,
    private left: number,
    private readonly weight?: tf.Scalar,
  ) {
    this.room = this.roomOfNext();
  }

  /** Takes a copy. */
  add(name: string, tensor: tf.Tensor): void {
    if (tensor.size > this.room) this.close();
    this.names.push(name);
    this.open.push(tf.keep(tensor.clone()));
    this.room -= tensor.size;
    this.left -= tensor.size;
    if (this.room <= 0) this.close();
  }

  /** Adds what comes after the gradients. */
  end(loss: tf.Scalar, total: tf.Scalar): void {
    this.add('', loss);
    this.add('', total);
    this.close();
  }

  /** What was added, summed. */
  async sums(): Promise<GradientSums> {
    try {
      const sums = (await Promise.all(this.pending)).flat();
      const [total, loss] = [sums.pop(), sums.pop()] as tf.Scalar[];
      return {loss, total, gradients: Object.fromEntries(sums.map((sum, i) => [this.names[i], sum]))};
    } catch (error) {
      for (const result of await Promise.allSettled(this.pending)) {
        if (result.status === 'fulfilled') tf.dispose(result.value);
      }
      throw error;
    }
  }

  private close(): void {
    if (this.open.length > 0) {
      const sum = this.cluster.sumAll(this.open, this.weight); // which has packed them when it returns
      tf.dispose(this.open);
      sum.catch(() => undefined); // is met in sums()
      this.pending.push(sum);
    }
    this.open = [];
    this.room = this.roomOfNext();
  }

  private roomOfNext(): number {
    return Math.min(BUCKET, Math.max(SMALL, this.left / 2));
  }
}

/** In the order given, as many together as travel at once. */
export function inBuckets<T extends tf.Tensor>(tensors: readonly T[]): T[][] {
  const buckets: T[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    if (tensor.size > room) {
      buckets.push([]);
      room = Math.max(BUCKET, tensor.size);
    }
    buckets.at(-1)!.push(tensor);
    room -= tensor.size;
  }
  return buckets;
}

/** Gives all ranks the weights of rank 0. */
export async function sameWeights(model: tf.LayersModel, cluster: Cluster): Promise<void> {
  for (const weight of model.weights) {
    const value = await cluster.broadcast(weight.read());
    weight.write(value);
    value.dispose();
  }
}

/** Whether any rank says so. Every rank must ask. */
export async function anyRank(said: boolean, cluster: Cluster): Promise<boolean> {
  const mine = tf.scalar(said ? 1 : 0, 'int32');
  const all = await cluster.allReduce(mine, 'max').finally(() => mine.dispose());
  const [value] = await all.data();
  all.dispose();
  return value > 0;
}

/** The checkpoints of rank 0, of whose files the others are sent copies: they need not see its disk. Only rank 0 saves. */
export function sharedCheckpoints(target: TrainingStore, cluster: Cluster): TrainingStore {
  return {
    save: (files) => target.save(files),
    load: async () => {
      let files: CheckpointFiles | undefined;
      const names = await fromFirst(cluster, async () => (files = await target.load()) && Object.keys(files));
      if (names === undefined) return undefined;
      const shared: CheckpointFiles = {};
      for (const name of names) shared[name] = await broadcastBytes(cluster, files?.[name]);
      return shared;
    },
  };
}

/** Has rank 0 alone do something, before all go on; what it throws, all throw. Without a cluster it is done here. */
export async function byFirst(work: () => Promise<void>, cluster: Cluster | undefined): Promise<void> {
  await (cluster ? fromFirst(cluster, work) : work());
}

/** The number of rank 0. That of another may differ by rounding, and what is decided by it must be the same everywhere. */
export async function numberOfFirst(mine: number, cluster: Cluster | undefined): Promise<number> {
  return cluster ? Number(await fromFirst(cluster, () => String(mine))) : mine; // JSON has no NaN
}

/** What rank 0 finds, which JSON can hold; what it throws, all throw. */
async function fromFirst<T>(cluster: Cluster, find: () => T | Promise<T>): Promise<T> {
  let mine: {value?: T; error?: string} = {};
  let own: Error | undefined;
  if (cluster.rank === 0) {
    try {
      mine = {value: await find()};
    } catch (error) {
      own = error as Error;
      mine = {error: own.message};
    }
  }
  const bytes = await broadcastBytes(cluster, new TextEncoder().encode(JSON.stringify(mine)));
  if (own !== undefined) throw own;
  const {value, error} = JSON.parse(new TextDecoder().decode(bytes)) as typeof mine;
  if (error !== undefined) throw new Error(`worker 0 has failed: ${error}`);
  return value as T;
}

/** The bytes that rank 0 gives, whatever the others do. */
export async function broadcastBytes(cluster: Cluster, bytes: Uint8Array = new Uint8Array()): Promise<Uint8Array> {
  const length = await broadcastInts(cluster, Int32Array.of(bytes.length));
  const words = new Int32Array(Math.ceil(length[0] / 4));
  if (cluster.rank === 0) new Uint8Array(words.buffer).set(bytes);
  const {buffer, byteOffset} = await broadcastInts(cluster, words);
  return new Uint8Array(buffer, byteOffset, length[0]);
}

async function broadcastInts(cluster: Cluster, values: Int32Array): Promise<Int32Array> {
  const mine = tf.tensor1d(values, 'int32');
  const all = await cluster.broadcast(mine).finally(() => mine.dispose());
  const result = (await all.data()) as Int32Array;
  all.dispose();
  return result;
}
