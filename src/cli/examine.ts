/** Looks at what the machine has. Each backend computes a small scan and its gradient, in turn. */
import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {availableParallelism, cpus, totalmem} from 'node:os';
import {promisify} from 'node:util';
import * as tf from '@tensorflow/tfjs';
import {problemComputing} from '../autoBackend';
import {backendInfo} from '../node';

export interface Examination {
  machine: Record<string, string>;
  backends: {backend: string; works: boolean; note: string}[];
  packages: {name: string; version?: string; use: string}[];
  advice: {command: string; why: string}[];
}

/** Optional packages and what they are for. */
const optional = {
  '@tensorflow/tfjs-backend-wasm': 'fast on any processor, without a build',
  '@tensorflow/tfjs-node': 'TensorFlow itself; setup-native brings it',
  '@huggingface/tokenizers': 'text for published models',
  '@huggingface/jinja': 'chat templates',
};

export async function examine(): Promise<Examination> {
  tf.enableProdMode();
  await import('@tensorflow/tfjs-backend-wasm').catch(() => undefined);
  const before = tf.getBackend() as string | undefined;
  const gpu = await nvidia();
  const packages = Object.entries(optional).map(([name, use]) => ({name, version: versionOf(name), use}));
  const backends: Examination['backends'] = [];
  for (const backend of ['tensorflow', 'wasm', 'cpu']) backends.push(await tryBackend(backend));
  if (before !== undefined) await tf.setBackend(before);
  return {
    machine: {
      node: process.version,
      processor: `${cpus()[0]?.model ?? process.arch}, ${availableParallelism()} threads`,
      memory: `${(totalmem() / 1e9).toFixed(1)} GB`,
      GPU: gpu ?? 'none that nvidia-smi knows',
    },
    backends,
    packages,
    advice: advise(packages, gpu),
  };
}

async function tryBackend(backend: string): Promise<Examination['backends'][number]> {
  if (tf.findBackendFactory(backend) === null) return {backend, works: false, note: 'not installed'};
  try {
    if (!(await tf.setBackend(backend))) return {backend, works: false, note: 'does not start'};
    const problem = await problemComputing();
    if (problem !== undefined) return {backend, works: false, note: problem};
    if (backend !== 'tensorflow') return {backend, works: true, note: 'computes a scan and its gradient right'};
    const {tensorflow, device, simd, threads, hint} = backendInfo();
    const native =
      tensorflow === undefined
        ? `without native kernels: ${hint}`
        : `TensorFlow ${tensorflow} on ${device}, ${threads} threads, ${simd}`;
    return {backend, works: true, note: native};
  } catch (error) {
    return {backend, works: false, note: (error as Error).message};
  }
}

function advise(packages: Examination['packages'], gpu: string | undefined): Examination['advice'] {
  const advice: Examination['advice'] = [];
  const has = (name: string) => packages.some((entry) => entry.name === name && entry.version !== undefined);
  const info = backendInfo();
  if (info.nativeKernels.length === 0) {
    advice.push({
      command: `npx tfjs-mamba setup-native${gpu ? ' --cuda' : ''}`,
      why: 'fused native kernels: the fastest in Node',
    });
  } else if (gpu && info.device === 'CPU') {
    advice.push({
      command: 'npx tfjs-mamba setup-native --cuda',
      why: `there is a GPU (${gpu}), but TensorFlow runs on the CPU`,
    });
  }
  for (const name of ['@tensorflow/tfjs-backend-wasm', '@huggingface/tokenizers', '@huggingface/jinja'] as const) {
    if (!has(name)) advice.push({command: `npm install ${name}`, why: optional[name]});
  }
  return advice;
}

/** The first GPU that NVIDIA's own tool names. */
async function nvidia(): Promise<string | undefined> {
  const query = ['--query-gpu=name', '--format=csv,noheader'];
  const asked = promisify(execFile)('nvidia-smi', query, {timeout: 10_000});
  return asked.then(({stdout}) => stdout.trim().split('\n')[0] || undefined).catch(() => undefined);
}

/** The version of an installed package. */
function versionOf(name: string): string | undefined {
  try {
    const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
    for (const path of paths) {
      try {
        return (JSON.parse(readFileSync(`${path}/${name}/package.json`, 'utf8')) as {version: string}).version;
      } catch {
        continue;
      }
    }
  } catch {
    return undefined;
  }
  return undefined;
}
