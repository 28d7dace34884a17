/**
 * The description of a cluster: what TensorFlow reads from the environment variable TF_CONFIG, so that whatever starts its workers
 * (Slurm scripts, Kubernetes operators) starts these too.
 */
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkKeys, checkOneOf} from '../ops/check';

/** Who is in the cluster, and who this process is. */
export interface ClusterDescription {
  /** The addresses of all workers, `host:port`, in the order of their ranks; the same list everywhere. */
  cluster: {worker: readonly string[]};
  /** Which of them this process is. */
  task: {type: 'worker'; index: number};
}

/** What {@link joinCluster} takes. */
export interface ClusterConfig extends Partial<ClusterDescription> {
  /** Seconds after which a worker that does not answer counts as dead; 30 unless given. */
  timeoutSeconds?: number;
  /**
   * Seconds that a worker which does answer may take to make the same call, and that all may take to come up; 600 unless given.
   * Longer than anything that only one of them does, such as writing a checkpoint.
   */
  patienceSeconds?: number;
  /** TensorFlow's `communication_hint`: how bytes travel. `ring` over gRPC by default; `nccl` between NVIDIA GPUs. */
  communication?: 'ring' | 'nccl';
}

/** A whole and checked {@link ClusterConfig}. */
export interface ResolvedClusterConfig {
  addresses: readonly string[];
  rank: number;
  timeoutSeconds: number;
  patienceSeconds: number;
  communication: 'ring' | 'nccl';
}

const OP = 'joinCluster';

/**
 * Fills in defaults, and the description from the text of TF_CONFIG where the argument has none. With no description at all the
 * process is a cluster of its own, as in TensorFlow.
 *
 * @throws Error naming what is wrong.
 */
export function resolveClusterConfig(config: ClusterConfig, tfConfig: string | undefined): ResolvedClusterConfig {
  checkKeys(OP, config, ['cluster', 'task', 'timeoutSeconds', 'patienceSeconds', 'communication']);
  const {timeoutSeconds = 30, patienceSeconds = 600, communication = 'ring'} = config;
  checkNumber(OP, 'timeoutSeconds', timeoutSeconds, 'positive');
  checkNumber(OP, 'patienceSeconds', patienceSeconds, 'positive');
  checkOneOf(OP, 'communication', communication, ['ring', 'nccl']);
  const options = {timeoutSeconds, patienceSeconds, communication};
  if (config.cluster !== undefined || config.task !== undefined) return {...check(OP, config), ...options};
  if (tfConfig === undefined || tfConfig.trim() === '') return {addresses: ['localhost:0'], rank: 0, ...options};
  return {...check(`${OP}: TF_CONFIG`, parse(tfConfig)), ...options};
}

function parse(text: string): Partial<ClusterDescription> {
  try {
    return Object(JSON.parse(text)) as Partial<ClusterDescription>;
  } catch (error) {
    throw new Error(`${OP}: TF_CONFIG must be JSON, but ${(error as Error).message}`, {cause: error});
  }
}

function check(where: string, {cluster, task}: Partial<ClusterDescription>) {
  const jobs = Object.keys(Object(cluster) as object);
  const addresses: unknown = cluster?.worker;
  if (jobs.join() !== 'worker' || !Array.isArray(addresses) || addresses.length === 0) {
    throw new Error(
      `${where}: cluster must be {worker: ['host:port', …]} and have no other jobs, but has ${jobs.join(', ') || 'none'}`,
    );
  }
  const wrong: unknown = addresses.find((address) => !isAddress(address));
  if (wrong !== undefined) {
    throw new Error(`${where}: cluster.worker must be a list of 'host:port', but has ${JSON.stringify(wrong)}`);
  }
  const twice: unknown = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw new Error(`${where}: cluster.worker has ${String(twice)} twice`);
  const {type, index} = Object(task) as Partial<ClusterDescription['task']>;
  if (type !== 'worker') throw new Error(`${where}: task.type must be 'worker', but is ${JSON.stringify(type)}`);
  if (!Number.isInteger(index) || index! < 0 || index! >= addresses.length) {
    throw new Error(
      `${where}: task.index must be a whole number from 0 to ${addresses.length - 1}, but is ${JSON.stringify(index)}`,
    );
  }
  return {addresses: addresses as string[], rank: index!};
}

function isAddress(value: unknown): boolean {
  const port = typeof value === 'string' ? /^.+:(\d{1,5})$/.exec(value)?.[1] : undefined;
  return port !== undefined && Number(port) > 0 && Number(port) < 65536;
}
