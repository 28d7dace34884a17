/** Starts the workers of a cluster, each a process that runs a program of this folder and prints what it found as its last line. */
import type {ChildProcess} from 'node:child_process';
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {freePorts} from '../../scripts/launch.js';

export interface Worker {
  child: ChildProcess;
  /** Resolves at the first line that says `ready`. */
  ready: Promise<void>;
  /** The JSON of the last line; rejects if the process ends with another status than 0. */
  result: Promise<unknown>;
}

/** The TF_CONFIG of every rank, on free ports. */
export async function tfConfigs(size: number): Promise<string[]> {
  const cluster = {worker: (await freePorts(size)).map((port) => `127.0.0.1:${port}`)};
  return cluster.worker.map((_, index) => JSON.stringify({cluster, task: {type: 'worker', index}}));
}

/** Starts a worker; `args` are the program's. */
export function startWorker(program: string, tfConfig: string | undefined, args: string[] = []): Worker {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    env: {...process.env, TF_CONFIG: tfConfig, TF_CPP_MIN_LOG_LEVEL: '3', TFJS_MAMBA_THREADS: '1'},
  });
  let output = '';
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const ready = new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (/^ready$/m.test(output)) resolve();
    });
  });
  const result = new Promise<unknown>((resolve, reject) => {
    child.on('close', (status, signal) => {
      if (status === 0) resolve(JSON.parse(output.trim().split('\n').at(-1)!));
      else reject(new Error(`${program} ended with ${status ?? signal}: ${errors.trim().slice(-2000)}`));
    });
  });
  result.catch(() => {}); // who kills a worker does not ask for its result
  return {child, ready, result};
}

/** What each of `size` ranks running the program found. */
export async function runCluster<T>(program: string, size: number, args: string[] = []): Promise<T[]> {
  const workers = (await tfConfigs(size)).map((tfConfig) => startWorker(program, tfConfig, args));
  try {
    return (await Promise.all(workers.map(({result}) => result))) as T[];
  } finally {
    for (const {child} of workers) child.kill('SIGKILL');
  }
}
