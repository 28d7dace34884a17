/**
 * Joining a cluster, for Node; only src/node.ts imports this file. The transport is TensorFlow's: its collective ops over gRPC, run by
 * the loader addon beside whatever backend computes.
 */
import {createRequire} from 'node:module';
import * as tf from '@tensorflow/tfjs';
import {loadNative} from '../backends/nodeNative';
import type {CollectiveKind, Loader} from '../backends/nodeNative';
import {isTensorflowOnCpu} from '../backends/traits';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkOneOf, showShape} from '../ops/check';
import type {Cluster, Reduction} from './cluster';
import type {ClusterConfig, ResolvedClusterConfig} from './config';
import {resolveClusterConfig} from './config';
import {packBundle, unpackBundle} from './nodeBundle';
import type {Values} from './nodeChannel';
import {Channel} from './nodeChannel';
import {contextConfig, serverDef} from './messages';
import {introduction, jobName} from './nodeIntroduction';
import {nameOf, peersUp} from './nodePeers';

const OP = 'joinCluster';

type Numbers = Float32Array | Int32Array;

const hostBackends = new Set(['tensorflow', 'wasm', 'cpu']);

/**
 * Joins the cluster that `config` or else the environment variable TF_CONFIG describes, and resolves when all its workers are there.
 * Without either, the process is a cluster of one. It needs `tfjs-mamba setup-native`, except for a cluster of one. A process can join
 * once, and its port stays open until it ends.
 *
 * TensorFlow's connections are neither encrypted nor authenticated, and its server listens on all interfaces: for private networks only.
 *
 * @throws Error naming the argument that is wrong, a worker that has been given another cluster, or the workers that have not come up in time.
 */
export async function joinCluster(config: ClusterConfig = {}): Promise<Cluster> {
  const resolved = resolveClusterConfig(config, process.env['TF_CONFIG']);
  if (resolved.addresses.length === 1) return new Member(resolved, undefined);
  const {loader, hint} = loadNative();
  if (!loader) throw new Error(`${OP}: collectives need the native library. ${hint}`);
  const {addresses, rank, timeoutSeconds, patienceSeconds, communication} = resolved;
  const job = jobName(addresses, packageVersion());
  try {
    await loader.openCluster({
      config: contextConfig(communication === 'nccl'),
      serverDef: serverDef(addresses, rank, job),
      job,
      peers: addresses.map(nameOf),
      rank,
      timeout: timeoutSeconds,
      patience: patienceSeconds,
      communication,
    });
    await peersUp(addresses, patienceSeconds, {
      meet: (asked, limit) => introduction(addresses, {own: rank, asked}, job, limit),
      warn: (text) => console.warn(`${OP}: ${text}`),
      warnSeconds: timeoutSeconds,
    });
  } catch (error) {
    if (!(error as Error).message.includes('Could not start gRPC server')) throw failure(OP, error);
    const place = `${nameOf(addresses[rank], rank)}, as which this process is to join, cannot be served from here`;
    throw new Error(`${OP}: ${place}: its port is in use, or it is another machine's address`, {cause: error});
  }
  const member = new Member(resolved, loader);
  await member.meet(OP);
  return member;
}

function packageVersion(): string {
  const require = createRequire(import.meta.url);
  return (require('tfjs-mamba/package.json') as {version: string}).version;
}

function failure(op: string, error: unknown): Error {
  return new Error(`${op}: ${(error as Error).message}`, {cause: error});
}

class Member implements Cluster {
  readonly rank: number;
  readonly size: number;
  private left = false;
  /** By the key of their group. */
  private readonly channels = new Map<number, Channel>();

  constructor(
    {rank, addresses}: ResolvedClusterConfig,
    private readonly loader: Loader | undefined,
  ) {
    this.rank = rank;
    this.size = addresses.length;
  }

  async allReduce<T extends tf.Tensor>(x: T, reduction: Reduction = 'sum'): Promise<T> {
    const op = 'allReduce';
    this.check(op, x);
    checkOneOf(op, 'reduction', reduction, ['sum', 'mean', 'max', 'min']);
    if (reduction === 'mean' && x.dtype !== 'float32') {
      throw new Error(`${op}: mean needs a tensor of dtype float32, but has ${x.dtype}`);
    }
    return this.run(op, reduction, reduction, x, x.shape);
  }

  async sumAll(tensors: readonly tf.Tensor[], weight?: tf.Scalar): Promise<tf.Tensor[]> {
    const op = 'sumAll';
    for (const x of tensors) this.checkFloats(op, 'tensors', x);
    if (weight !== undefined) this.checkFloats(op, 'weight', weight);
    if (weight && weight.rank > 0)
      throw new Error(`${op}: weight must be a scalar, but has shape ${showShape(weight.shape)}`);
    const sizes = tensors.map(({size}) => size);
    const shape = [sizes.reduce((sum, size) => sum + size, 0)];
    if (this.loader && shape[0] > 0 && isTensorflowOnCpu()) {
      const bundle = packBundle(tensors, weight);
      await this.call(`${op} of float32 ${showShape(shape)}`, this.all(), 'sum', 'sum', shape, bundle);
      return unpackBundle(bundle, tensors.length);
    }
    if (tensors.length === 0) return [];
    const packed = tf.tidy(() => {
      const flat = tf.concat(tensors.map((x) => x.flatten()));
      return weight ? flat.mul<tf.Tensor1D>(weight) : flat;
    });
    const sum = await this.allReduce(packed).finally(() => packed.dispose());
    const parts = tf.tidy(() => tf.split(sum, sizes).map((part, i) => part.reshape(tensors[i].shape)));
    sum.dispose();
    return parts;
  }

  async broadcast<T extends tf.Tensor>(x: T, root = 0): Promise<T> {
    const op = 'broadcast';
    this.check(op, x);
    checkNumber(op, 'root', root, 'count');
    if (root >= this.size)
      throw new Error(`${op}: root must be below the size of the cluster, ${this.size}, but is ${root}`);
    return this.run(op, root === this.rank ? 'send' : 'receive', `from ${root}`, x, x.shape);
  }

  async allGather<T extends tf.Tensor>(x: T): Promise<T> {
    const op = 'allGather';
    this.check(op, x);
    if (x.rank === 0) throw new Error(`${op}: x must have a first axis, but is a scalar`);
    return this.run(op, 'gather', 'gather', x, [x.shape[0] * this.size, ...x.shape.slice(1)]);
  }

  async send(x: tf.Tensor, to: number): Promise<void> {
    const op = 'send';
    this.check(op, x);
    this.checkOther(op, 'to', to);
    if (x.size > 0) await this.call(`${op} to ${to}`, this.pair(this.rank, to), 'send', 'pair', x.shape, valuesOf(x));
  }

  async receive<R extends tf.Rank>(
    shape: tf.ShapeMap[R],
    from: number,
    dtype: 'float32' | 'int32' = 'float32',
  ): Promise<tf.Tensor<R>> {
    const op = 'receive';
    this.checkMember(op);
    this.checkOther(op, 'from', from);
    checkOneOf(op, 'dtype', dtype, ['float32', 'int32']);
    if (tf.util.sizeFromShape(shape) === 0) return tf.zeros(shape, dtype);
    const pair = this.pair(from, this.rank);
    return tf.tensor(
      await this.call(`${op} from ${from}`, pair, 'receive', 'pair', shape, nothing(dtype)),
      shape,
      dtype,
    );
  }

  async barrier(): Promise<void> {
    this.checkMember('barrier');
    await this.meet('barrier');
  }

  async leave(): Promise<void> {
    this.checkMember('leave');
    this.left = true;
    await this.meet('leave');
  }

  /** A collective of one number. */
  async meet(op: string): Promise<void> {
    if (this.loader) await this.call(op, this.all(), 'sum', op, [], Int32Array.of(1));
  }

  private checkOther(op: string, name: string, rank: number): void {
    if (Number.isInteger(rank) && rank >= 0 && rank < this.size && rank !== this.rank) return;
    throw new Error(`${op}: ${name} must be another rank of the cluster of ${this.size}, but is ${String(rank)}`);
  }

  private checkMember(op: string): void {
    if (this.left) throw new Error(`${op}: this process has left the cluster`);
  }

  private check(op: string, x: tf.Tensor): void {
    this.checkMember(op);
    if (!(x instanceof tf.Tensor)) throw new Error(`${op}: x must be a tensor`);
    if (x.isDisposed) throw new Error(`${op}: x must be a tensor in use, but has been disposed`);
    if (x.dtype !== 'float32' && x.dtype !== 'int32') {
      throw new Error(`${op}: x must have dtype float32 or int32, but has ${x.dtype}`);
    }
  }

  private checkFloats(op: string, name: string, x: tf.Tensor): void {
    this.check(op, x);
    if (x.dtype !== 'float32') throw new Error(`${op}: ${name} must have dtype float32, but has ${x.dtype}`);
  }

  private async run<T extends tf.Tensor>(
    op: string,
    kind: CollectiveKind,
    label: string,
    x: T,
    shape: number[],
  ): Promise<T> {
    // Nothing to send. The ranks agree on it, since shapes are the same.
    if (!this.loader || x.size === 0) return tf.tensor(await x.data(), shape, x.dtype) as T;
    const values = kind === 'receive' ? nothing(x.dtype) : valuesOf(x);
    const named = `${op} of ${x.dtype} ${showShape(x.shape)}`;
    return tf.tensor(await this.call(named, this.all(), kind, label, x.shape, values), shape, x.dtype) as T;
  }

  private async call<T extends Values>(
    op: string,
    channel: Channel,
    ...call: [CollectiveKind, string, number[], T | Promise<T>]
  ): Promise<T> {
    try {
      return await channel.call<T>(...call);
    } catch (error) {
      throw failure(op, error);
    }
  }

  /** The group of all ranks. */
  private all(): Channel {
    return this.channel(1, this.size);
  }

  /** What one rank sends to another: a group of its own for each direction, so that neither waits for the other. */
  private pair(from: number, to: number): Channel {
    return this.channel(2 + from * this.size + to, 2);
  }

  private channel(group: number, size: number): Channel {
    let channel = this.channels.get(group);
    if (!channel) this.channels.set(group, (channel = new Channel(this.loader!, group, size)));
    return channel;
  }
}

function nothing(dtype: string): Numbers {
  return dtype === 'int32' ? new Int32Array() : new Float32Array();
}

/** At once where the backend computes in the host's memory. */
function valuesOf(x: tf.Tensor): Numbers | Promise<Numbers> {
  return (hostBackends.has(tf.getBackend()) ? x.dataSync() : x.data()) as Numbers | Promise<Numbers>;
}
