/**
 * The state of the optimizer divided among the ranks of a cluster (ZeRO-1: Rajbhandari et al. 2020, arXiv 1910.02054): each keeps the moments of
 * its own weights alone, makes their step, and sends the others what they have become. Weights go whole to a rank, the largest first to the one
 * that has least.
 */
import * as tf from '@tensorflow/tfjs';
import type {Cluster} from '../cluster/cluster';
import {inBuckets} from './cluster';
import type {NamedTensor} from './moments';
import {withoutSuffix} from './noDecay';

/** For each size, which of the ranks it belongs to. */
export function owners(sizes: readonly number[], ranks: number): number[] {
  const loads = new Array<number>(ranks).fill(0);
  const result: number[] = [];
  const largestFirst = [...sizes.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  for (const i of largestFirst) {
    const rank = loads.indexOf(Math.min(...loads));
    loads[rank] += sizes[i];
    result[i] = rank;
  }
  return result;
}

export class Shards {
  private readonly variables: tf.Variable[];
  private readonly owner: number[];
  /** Names without the numbers that TensorFlow.js gives those of later models. */
  private readonly own: ReadonlySet<string>;

  constructor(
    model: tf.LayersModel,
    private readonly optimizer: tf.Optimizer,
    private readonly cluster: Cluster,
  ) {
    this.variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    this.owner = owners(
      this.variables.map(({size}) => size),
      cluster.size,
    );
    this.own = new Set(this.of(cluster.rank).map(({name}) => withoutSuffix(name)));
  }

  /** Whether the step of a weight is this rank's to make. */
  owns(name: string): boolean {
    return this.own.has(withoutSuffix(name));
  }

  /** Gives all ranks the weights as their owners have made them. */
  async exchange(): Promise<void> {
    const {cluster} = this;
    const pending: Promise<void>[] = [];
    for (let rank = 0; rank < cluster.size; rank++) {
      for (const bucket of inBuckets(this.of(rank))) {
        const packed = tf.tidy(() => tf.concat(bucket.map((variable) => variable.flatten())));
        const arrives = cluster.broadcast(packed, rank).finally(() => packed.dispose());
        pending.push(
          arrives.then((all) => {
            if (rank !== cluster.rank) assignAll(bucket, all);
            all.dispose();
          }),
        );
      }
    }
    await Promise.all(pending);
  }

  /**
   * Everything that the optimizer of one process would keep, on rank 0; undefined on the others, which must call this too.
   *
   * @returns As `getWeights` of adamW; the caller disposes it.
   */
  async gather(): Promise<NamedTensor[] | undefined> {
    const {cluster, variables} = this;
    const own = new Map((await this.optimizer.getWeights()).map(({name, tensor}) => [name, tensor]));
    const counts = own.get('steps');
    const steps = counts ? [...(await counts.data<'int32'>())] : [];
    // Of this rank's slots, in the order of the optimizer.
    const slots = [...own.keys()].filter((name) => name.endsWith('/m')).map((name) => name.slice(0, -2));
    const stepOf = new Map(slots.map((name, i) => [name, steps[i]]));
    const mine = tf.tensor1d(
      variables.map(({name}) => stepOf.get(name) ?? 0),
      'int32',
    );
    const all = await cluster.allReduce(mine, 'max').finally(() => mine.dispose());
    const updates = await all.data().finally(() => all.dispose());
    const whole: Record<'m' | 'v', NamedTensor[]> = {m: [], v: []};
    for (const [i, {name, shape}] of variables.entries()) {
      if (updates[i] === 0) continue; // never had a gradient
      for (const part of ['m', 'v'] as const) {
        const tensor = await this.toFirst(own.get(`${name}/${part}`), shape, this.owner[i]);
        if (tensor) whole[part].push({name: `${name}/${part}`, tensor});
      }
    }
    if (cluster.rank > 0) return undefined;
    const counted = [...updates].filter((count) => count > 0);
    return [
      {name: 'iter', tensor: own.get('iter')!.clone()},
      ...(counted.length > 0 ? [{name: 'steps', tensor: tf.tensor1d(counted, 'int32') as tf.Tensor}] : []),
      ...whole.m,
      ...whole.v,
    ];
  }

  /** Of what one process would keep, this rank's part. */
  part<T extends {name: string}>(state: readonly T[], withSteps: (steps: T, keep: boolean[]) => T): T[] {
    const [iter, steps, ...moments] = state;
    if (steps === undefined) return [iter];
    const keep = moments.map(({name}) => this.owns(name.replace(/\/[mv]$/, '')));
    return [iter, withSteps(steps, keep.slice(0, moments.length / 2)), ...moments.filter((_, i) => keep[i])];
  }

  private of(rank: number): tf.Variable[] {
    return this.variables.filter((_, i) => this.owner[i] === rank);
  }

  /** A tensor of `owner`, on rank 0. */
  private async toFirst(mine: tf.Tensor | undefined, shape: number[], owner: number): Promise<tf.Tensor | undefined> {
    const {cluster} = this;
    if (cluster.rank === 0) return owner === 0 ? mine!.clone() : cluster.receive(shape, owner);
    if (cluster.rank === owner) await cluster.send(mine!, 0);
    return undefined;
  }
}

function assignAll(variables: tf.Variable[], packed: tf.Tensor): void {
  tf.tidy(() => {
    const parts = tf.split(
      packed,
      variables.map(({size}) => size),
    );
    variables.forEach((variable, i) => variable.assign(parts[i].reshape(variable.shape)));
  });
}
