/**
 * Joining a cluster, for Node; only src/node.ts imports this file. The transport is TensorFlow's: its collective ops over gRPC, run by
 * the loader addon beside whatever backend computes.
 */
import * as tf from '@tensorflow/tfjs';
import {loadNative} from '../backends/nodeNative';
import type {CollectiveKind, Loader} from '../backends/nodeNative';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkOneOf, showShape} from '../ops/check';
import type {Cluster, Reduction} from './cluster';
import type {ClusterConfig, ResolvedClusterConfig} from './config';
import {resolveClusterConfig} from './config';
import {callKey} from './key';
import {contextConfig, JOB, serverDef} from './messages';
import {nameOf, peersUp} from './nodePeers';

const OP = 'joinCluster';

/**
 * Joins the cluster that `config` or else the environment variable TF_CONFIG describes, and resolves when all its workers are there.
 * Without either, the process is a cluster of one. It needs `tfjs-mamba setup-native`, except for a cluster of one. A process can join
 * once, and its port stays open until it ends.
 *
 * TensorFlow's connections are neither encrypted nor authenticated, and its server listens on all interfaces: for private networks only.
 *
 * @throws Error naming the argument that is wrong, or the workers that have not come up in time.
 */
export async function joinCluster(config: ClusterConfig = {}): Promise<Cluster> {
  const resolved = resolveClusterConfig(config, process.env['TF_CONFIG']);
  if (resolved.addresses.length === 1) return new Member(resolved, undefined);
  const {loader, hint} = loadNative();
  if (!loader) throw new Error(`${OP}: collectives need the native library. ${hint}`);
  const {addresses, rank, timeoutSeconds, patienceSeconds, communication} = resolved;
  try {
    await loader.openCluster({
      config: contextConfig(communication === 'nccl'),
      serverDef: serverDef(addresses, rank),
      job: JOB,
      peers: addresses.map(nameOf),
      rank,
      timeout: timeoutSeconds,
      patience: patienceSeconds,
      communication,
    });
    await peersUp(addresses, patienceSeconds);
  } catch (error) {
    throw failure(OP, error);
  }
  const member = new Member(resolved, loader);
  await member.meet(OP);
  return member;
}

function failure(op: string, error: unknown): Error {
  return new Error(`${op}: ${(error as Error).message}`, {cause: error});
}

class Member implements Cluster {
  readonly rank: number;
  readonly size: number;
  private left = false;
  private calls = 0;
  /** Settles when all calls so far have been handed over; calls must not overtake each other while their values are read. */
  private handedOver: Promise<unknown> = Promise.resolve();

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
    if (this.loader) await this.call(op, 'sum', op, [], Promise.resolve(Int32Array.of(1)));
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

  private async run<T extends tf.Tensor>(
    op: string,
    kind: CollectiveKind,
    label: string,
    x: T,
    shape: number[],
  ): Promise<T> {
    // Nothing to send. The ranks agree on it, since shapes are the same.
    if (!this.loader || x.size === 0) return tf.tensor(await x.data(), shape, x.dtype) as T;
    const empty = () => (x.dtype === 'int32' ? new Int32Array() : new Float32Array());
    const values = kind === 'receive' ? Promise.resolve(empty()) : (x.data() as Promise<Float32Array | Int32Array>);
    const result = await this.call(`${op} of ${x.dtype} ${showShape(x.shape)}`, kind, label, x.shape, values);
    return tf.tensor(result, shape, x.dtype) as T;
  }

  private async call(
    op: string,
    kind: CollectiveKind,
    label: string,
    shape: number[],
    values: Promise<Float32Array | Int32Array>,
  ): Promise<Float32Array | Int32Array> {
    const number = this.calls++;
    const before = this.handedOver;
    const handing = (async () => {
      await before;
      const data = await values;
      const type = data instanceof Int32Array ? 'int32' : 'float32';
      return {result: this.loader!.collective(kind, callKey(number, `${label} ${type} ${shape.join()}`), shape, data)};
    })();
    this.handedOver = handing.catch(() => undefined);
    try {
      return await (
        await handing
      ).result;
    } catch (error) {
      throw failure(op, error);
    }
  }
}
