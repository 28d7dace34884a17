/** Keeps what a benchmark measured, with what it was measured on: `bench/results/<name>.json`. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {arch, availableParallelism, cpus, loadavg, totalmem} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {backendInfo} from '../src/node';

const folder = join(import.meta.dirname, 'results');

/** Rows of figures; the name of a column says its unit. */
export type Figures = Array<Record<string, number | string | undefined>>;

/** A file of results. */
export interface Kept {
  command: string;
  date: string;
  versions: {package: string; commit?: string; tfjs: string; node: string; tensorflow?: string};
  machine: {
    processor?: string;
    cores: number;
    architecture: string;
    memoryGB: number;
    backend: string;
    /** Of the backend, if it is one. */
    gpu?: string;
    threads?: number;
    simd?: string;
    loadOfTheMachine: number;
  };
  figures: Figures;
  findings: Record<string, number>;
}

/**
 * @param name Of the file, without its ending.
 * @param ran What it ran on, if that was not the backend of this process.
 */
export function saveResults(name: string, figures: Figures, findings: Record<string, number>, ran?: string): void {
  const {version} = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {version: string};
  const {backend, tensorflow, threads, simd} = backendInfo();
  const result: Kept = {
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`,
    date: new Date().toISOString(),
    versions: {package: version, commit: commit(), tfjs: tf.version_core, node: process.version, tensorflow},
    machine: {
      ...{processor: cpus()[0]?.model, cores: availableParallelism(), architecture: arch()},
      ...{memoryGB: Math.round(totalmem() / 2 ** 30), backend: ran ?? backend, gpu: gpuName(), threads, simd},
      loadOfTheMachine: loadavg()[0],
    },
    figures,
    findings,
  };
  mkdirSync(folder, {recursive: true});
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  console.log(`kept in bench/results/${name}.json; load of the machine ${loadavg()[0].toFixed(1)}`);
}

function gpuName(): string | undefined {
  const {device, adapterInfo} = tf.backend() as {device?: GPUDevice; adapterInfo?: {architecture?: string}};
  if (!device) return undefined;
  const {vendor, architecture, description} = (device as {adapterInfo?: Partial<GPUAdapterInfo>}).adapterInfo ?? {};
  return description || [vendor, architecture ?? adapterInfo?.architecture].filter(Boolean).join(' ') || 'a GPU';
}

function commit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {cwd: import.meta.dirname, encoding: 'utf8'}).trim();
  } catch {
    return undefined;
  }
}

/** The slope of ln y over ln x by least squares: y grows as x to that power. */
export function exponent(xs: readonly number[], ys: readonly number[]): number {
  const [lx, ly] = [xs, ys].map((values) => values.map(Math.log));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(lx), mean(ly)];
  const over = lx.reduce((sum, x, i) => sum + (x - mx) * (ly[i] - my), 0);
  return over / lx.reduce((sum, x) => sum + (x - mx) ** 2, 0);
}
