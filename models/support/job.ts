/** What the scripts that reproduce a claim share: their options, their backend, and how a model and its figures are kept. */
import {mkdir, writeFile} from 'node:fs/promises';
import {arch, availableParallelism, cpus, loadavg} from 'node:os';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/node';
import {autoBackend, savePretrained} from '../../src/node';
import {startBackend, testTarget} from '../../test/support/backend';

/** A wrong option: its message is all there is to say. */
export class UsageError extends Error {}

/** Options that take a number: what each is, and what it says if left out. */
export type Numbers = Record<string, {help: string; value: number}>;

/** What every script takes beside its numbers. */
export interface Common {
  mixers: string[];
  /** Where models and figures go. */
  out: string;
  /** Where a script's data lies, if not where the script says. */
  data?: string;
  /** A model to go on from, of scripts that can. */
  from?: string;
  /** What to run on, if not on the fastest there is. */
  backend?: string;
  /** Training ends after so many minutes, its schedule with it, if the steps have not ended it before. */
  minutes?: number;
}

const commonHelp = {
  backend: '<name>  what to run on: webgpu takes the GPU with TFJS_MAMBA_GPU=1 (the fastest there is)',
  data: '<folder>  where the data lies',
  from: '<folder>  the model to go on from, of scripts that can (writer, selective-copying)',
  minutes: '<number>  the most that one training may take; its schedule ends with it',
};

/**
 * Reads options that are all positive whole numbers, beside those that every script takes.
 *
 * @returns undefined if help was asked for, which then has been printed.
 * @throws UsageError
 */
export function readOptions<N extends Numbers>(
  name: string,
  args: readonly string[],
  numbers: N,
  mixers: readonly string[],
): (Common & {[Name in keyof N]: number}) | undefined {
  const texts = [...Object.keys(numbers), 'mixer', 'out', ...Object.keys(commonHelp)];
  const values = parse(args, texts);
  const out = values.out ?? fileURLToPath(new URL(`../../runs/${name}`, import.meta.url));
  if (values.help) {
    const lines = Object.entries(numbers).map(
      ([option, {help, value}]) => `  --${option} <number>  ${help} (${value})`,
    );
    console.log(
      [
        `Usage: npm run reproduce -- ${name} [options]\n`,
        ...lines,
        `  --mixer <names>  what to train, divided by commas (${mixers.join(',')})`,
        `  --out <folder>  where models and figures go (runs/${name})`,
        ...Object.entries(commonHelp).map(([option, help]) => `  --${option} ${help}`),
      ].join('\n'),
    );
    return undefined;
  }
  const chosen = values.mixer?.split(',') ?? [...mixers];
  const unknown = chosen.find((mixer) => !mixers.includes(mixer));
  if (unknown !== undefined) throw new UsageError(`--mixer takes ${mixers.join(', ')}, but was given ${unknown}`);
  const read = Object.entries(numbers).map(([option, {value}]) => {
    const given = values[option] ?? String(value);
    if (!/^[1-9]\d{0,8}$/.test(given)) {
      throw new UsageError(`--${option} must be a positive whole number, but is '${given}'`);
    }
    return [option, Number(given)];
  });
  const {data, backend, from} = values;
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0)) {
    throw new UsageError(`--minutes must be a positive number, but is '${values.minutes}'`);
  }
  const others = Object.entries({data, backend, minutes, from}).filter(([, value]) => value !== undefined);
  return {
    ...{mixers: chosen, out},
    ...(Object.fromEntries(others) as Pick<Common, 'data' | 'backend' | 'minutes' | 'from'>),
    ...(Object.fromEntries(read) as {[Name in keyof N]: number}),
  };
}

function parse(args: readonly string[], texts: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(texts.map((name) => [name, {type: 'string'} as const]));
  try {
    return parseArgs({args: [...args], options: {...options, help: {type: 'boolean', short: 'h'}}}).values as never;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}; --help lists the options`);
  }
}

/** Starts a backend, the fastest there is unless one is named, and says which. */
export async function startJob({backend}: Pick<Common, 'backend'> = {}): Promise<void> {
  tf.enableProdMode();
  if (backend === undefined) await autoBackend();
  else await startBackend(nodeBackend(backend));
  console.log(`backend ${tf.getBackend()}`);
}

function nodeBackend(name: string) {
  const {backend, inBrowser} = testTarget(name);
  if (inBrowser) throw new UsageError(`--backend takes what runs in Node, but was given ${name}`);
  return backend;
}

/** Saves a model, and beside it what it reached and on what. */
export async function keep(model: MambaLM, folder: string, result: object): Promise<void> {
  await mkdir(folder, {recursive: true});
  await savePretrained(model, folder);
  await finish(folder, result);
}

/** Writes what was reached, and on what. */
export async function finish(folder: string, result: object): Promise<void> {
  await mkdir(folder, {recursive: true});
  await writeFile(`${folder}/result.json`, `${JSON.stringify({...result, machine: machine()}, null, 2)}\n`);
}

/** What figures were measured on. */
export function machine(): object {
  return {
    processor: cpus()[0]?.model,
    cores: availableParallelism(),
    architecture: arch(),
    load: loadavg()[0],
    node: process.version,
    tfjs: tf.version_core,
    backend: tf.getBackend(),
  };
}
