/**
 * A command that several processes carry out together, `--cluster`: rank 0 alone looks at what is in the folder of the run, writes there and
 * tells; the others do what it has decided.
 */
import type {Cluster} from '../node';
import type {Io} from './io';
import {UsageError} from './io';
import type {Library} from './library';
import {startLibrary} from './library';
import {launched} from './rounds';
import type {TrainingFlags} from './trainingFlags';

/** What a process has of the work. */
export interface Part {
  cluster?: Cluster;
  io: Io;
  /** The library, started. */
  library(): Promise<{lib: Library; backend: string}>;
  /** What rank 0 finds; it must be what JSON can hold. An error there is one everywhere. */
  decide<T>(find: () => T | Promise<T>): Promise<T>;
}

type Flags = Pick<TrainingFlags, 'cluster' | 'backend' | 'data' | 'sequenceParallel' | 'shardOptimizer'>;

/** Runs the work of a command, in a cluster if the flags say so. */
export async function together(flags: Flags, io: Io, work: (part: Part) => Promise<void>): Promise<void> {
  if (!flags.cluster) {
    const [division] = divisionFlags(flags);
    if (division) throw new UsageError(`${division} needs --cluster`);
    if (launched() !== undefined)
      throw new UsageError('"tfjs-mamba launch" starts several processes, which train one model only with --cluster');
    return work({io, library: () => startLibrary(flags), decide: async (find) => find()});
  }
  if (!process.env['TF_CONFIG'])
    throw new UsageError(
      '--cluster: TF_CONFIG is not set, which says who trains together; "tfjs-mamba launch --workers 2 -- tfjs-mamba …" sets it',
    );
  if (flags.data === '-') throw new UsageError('--data - is the standard input of one process, and has no --cluster');
  const started = await startLibrary(flags);
  const cluster = await started.lib.joinCluster();
  const isFirst = cluster.rank === 0;
  const silent: Io = {...io, out: () => {}, err: () => {}, interactive: false};
  await work({
    cluster,
    io: isFirst ? io : silent,
    library: async () => started,
    decide: (find) => decideFirst(cluster, find),
  });
  await cluster.leave();
}

/** What the processes divide among them. */
export function divisionOf({sequenceParallel, shardOptimizer}: Flags) {
  return {sequenceParallel, shardOptimizer};
}

function divisionFlags({sequenceParallel, shardOptimizer}: Flags): string[] {
  return [...(sequenceParallel ? ['--sequence-parallel'] : []), ...(shardOptimizer ? ['--shard-optimizer'] : [])];
}

/** What goes on with a run: the command, for as many processes again where it was for several. */
export function goesOnWith(command: string, flags: Flags, cluster: Pick<Cluster, 'size'> | undefined): string {
  if (!cluster) return `npx tfjs-mamba ${command}`;
  const whole = [`tfjs-mamba ${command} --cluster`, ...divisionFlags(flags)].join(' ');
  if (launched() === undefined) return `npx ${whole}, on each of the ${cluster.size} workers`;
  return `npx tfjs-mamba launch --workers ${cluster.size} -- ${whole}`;
}

/** `, in 2 processes`, where they are several. */
export function workers(cluster: Cluster | undefined): string {
  return cluster ? `, in ${cluster.size} processes` : '';
}

interface Decision {
  value?: unknown;
  error?: string;
  isUsage?: boolean;
}

async function decideFirst<T>(cluster: Cluster, find: () => T | Promise<T>): Promise<T> {
  let mine: Decision = {};
  if (cluster.rank === 0) {
    try {
      mine = {value: await find()};
    } catch (error) {
      mine = {error: (error as Error).message, isUsage: error instanceof UsageError};
    }
  }
  const {value, error, isUsage} = await fromFirst(cluster, mine);
  if (error === undefined) return value as T;
  // Rank 0 tells what it is.
  const told = cluster.rank === 0 ? error : `worker 0 has found something wrong: ${error}`;
  throw isUsage ? new UsageError(told) : new Error(told);
}

async function fromFirst(cluster: Cluster, mine: Decision): Promise<Decision> {
  const {broadcastBytes} = await import('../training/cluster');
  const bytes = await broadcastBytes(cluster, new TextEncoder().encode(JSON.stringify(mine)));
  return JSON.parse(new TextDecoder().decode(bytes)) as Decision;
}
