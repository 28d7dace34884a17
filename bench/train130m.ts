/**
 * `bench -- train --backend tensorflow`, its last rows: a training step of the 130m shape, float32, AdamW, of 1 × 256 and 8 × 256 tokens, beside
 * Hugging Face's on PyTorch where peers/README.md was followed. Every form is a process of its own, whose peak of resident memory counts, what
 * the program itself takes included. Of PyTorch the loop over time, as it is, with its blocks recomputed, and compiled; the better counts.
 */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {availableParallelism, freemem, tmpdir} from 'node:os';
import {join} from 'node:path';
import {mambaLM, savePretrained} from '../src/node';
import {isInstalled, peerPython} from './peers/peers';
import {printTable} from './timing';

interface Measured {
  seconds: number;
  /** Seconds of processor time. */
  cpu: number;
  /** Bytes of resident memory at their height. */
  peak: number;
}

const LENGTH = 256;
/** Steps of ours, the first of which makes the moments; a step of PyTorch's takes minutes, so it has one. */
const STEPS = 3;
/** Minutes that a form of PyTorch's may take, compiling included. */
const PATIENCE = 30;
/** Bytes that a row of PyTorch's step keeps, from what one row took, 4.39 GB, with some room; without that many free it is not begun. */
const TORCH_ROW = 2.2e9;

export async function benchTrain130m(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  try {
    if (isInstalled('Hugging Face on PyTorch', peerPython)) {
      const model = mambaLM({vocabSize: 50280, dModel: 768, nLayer: 24}, {seed: 1});
      await savePretrained(model, folder);
      model.dispose();
    }
    for (const rows of [1, 8]) benchRows(rows, folder);
  } finally {
    rmSync(folder, {recursive: true});
  }
}

function benchRows(rows: number, folder: string): void {
  const ours = ['', 'checkpoint'].map((form): [string, Measured | undefined] => {
    const file = join(import.meta.dirname, 'trainStep.ts');
    const args = ['--import', 'tsx', file, String(rows), String(LENGTH), String(STEPS), form];
    return [form ? 'gradCheckpoint' : 'all activations kept', measured(process.execPath, args)];
  });
  const theirs = ['', 'checkpoint', 'compile'].map((form): [string, Measured | undefined] => {
    const name = `PyTorch, ${form || 'as it is'}`;
    if (form !== 'checkpoint' && freemem() < 3e9 + rows * TORCH_ROW) {
      console.log(`${name} is left out: the memory that is free would not do`);
      return [name, undefined];
    }
    const file = join(import.meta.dirname, 'peers/torch_train.py');
    const args = [file, folder, String(rows), String(LENGTH), '1', String(availableParallelism()), form];
    return [name, isInstalled('Hugging Face on PyTorch', peerPython) ? measured(peerPython, args) : undefined];
  });
  console.log(`mamba-130m shape, a training step of ${rows}×${LENGTH} tokens`);
  const found = [...ours, ...theirs].flatMap(([name, result]) => (result ? [{name, ...result}] : []));
  printTable([
    ['', 'seconds', 'of the processors', 'peak, GB'],
    ...found.map(({name, seconds, cpu, peak}) => [name, seconds.toFixed(2), cpu.toFixed(2), (peak / 1e9).toFixed(2)]),
  ]);
  const better = (key: keyof Measured, list: typeof ours) => Math.min(...list.map(([, m]) => m?.[key] ?? Infinity));
  const ratio = (key: keyof Measured) => (better(key, theirs) / better(key, ours)).toFixed(2);
  if (theirs.some(([, result]) => result)) {
    console.log(
      `PyTorch ÷ ours: ${ratio('seconds')} seconds, ${ratio('cpu')} of the processors, ${ratio('peak')} memory`,
    );
  }
}

/** What such a process says; if it fails or takes too long, a line says so. */
function measured(command: string, args: string[]): Measured | undefined {
  const {status, stdout, stderr} = spawnSync(command, args, {encoding: 'utf8', timeout: 60_000 * PATIENCE});
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1)!) as Measured;
  console.log(`${args.slice(-6).join(' ')} is left out: ${stderr.trim().split('\n').at(-1) || 'it took too long'}`);
  return undefined;
}
