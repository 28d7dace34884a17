/**
 * `bench -- train --backend tensorflow`, its last rows: a training step of the 130m shape, float32, AdamW, of 1 × 256 and 8 × 256 tokens, beside
 * Hugging Face's on PyTorch where peers/README.md was followed. Every form is a process of its own, whose peak of resident memory counts, what
 * the program itself takes included. Of PyTorch the loop over time, as it is, with its blocks recomputed, and compiled; the better counts.
 * PyTorch may have the memory that is free and no more: one that needs more is told so, which its row says, and nobody else's program ends.
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
const PATIENCE = 15;
/** Bytes of memory that stay for the rest of the machine. */
const ROOM = 1e9;

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
  const ours = ['', 'checkpoint'].map((form): Row => {
    const file = join(import.meta.dirname, 'trainStep.ts');
    const args = ['--import', 'tsx', file, String(rows), String(LENGTH), String(STEPS), form];
    return [form ? 'gradCheckpoint' : 'all activations kept', measured(process.execPath, args)];
  });
  const hasTorch = isInstalled('Hugging Face on PyTorch', peerPython);
  const theirs = (hasTorch ? ['', 'checkpoint', 'compile'] : []).map((form): Row => {
    const file = join(import.meta.dirname, 'peers/torch_train.py');
    const args = [file, folder, String(rows), String(LENGTH), '1', String(availableParallelism()), form];
    return [`PyTorch, ${form || 'as it is'}`, measured(...within(freemem() - ROOM, peerPython, args))];
  });
  console.log(`mamba-130m shape, a training step of ${rows}×${LENGTH} tokens`);
  printTable([
    ['', 'seconds', 'of the processors', 'peak, GB'],
    ...[...ours, ...theirs].map(([name, result]) =>
      typeof result === 'string'
        ? [name, result, '', '']
        : [name, result.seconds.toFixed(2), result.cpu.toFixed(2), (result.peak / 1e9).toFixed(2)],
    ),
  ]);
  const better = (key: keyof Measured, list: Row[]) =>
    Math.min(...list.map(([, result]) => (typeof result === 'string' ? Infinity : result[key])));
  const ratio = (key: keyof Measured) => (better(key, theirs) / better(key, ours)).toFixed(2);
  if (Number.isFinite(better('seconds', theirs))) {
    console.log(
      `PyTorch ÷ ours: ${ratio('seconds')} seconds, ${ratio('cpu')} of the processors, ${ratio('peak')} memory`,
    );
  }
}

/** A form's name, and what it took or why it has no figures. */
type Row = [name: string, result: Measured | string];

/** A command that may have so many bytes of addresses. */
function within(bytes: number, command: string, args: string[]): [command: string, args: string[]] {
  return ['sh', ['-c', `ulimit -v ${Math.floor(bytes / 1024)} && exec "$@"`, 'sh', command, ...args]];
}

/** What such a process says, or in a few words why it says nothing. */
function measured(command: string, args: string[]): Measured | string {
  const {status, stdout, stderr, error} = spawnSync(command, args, {encoding: 'utf8', timeout: 60_000 * PATIENCE});
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1)!) as Measured;
  const last = stderr.trim().split('\n').at(-1) ?? '';
  if (error && 'code' in error && error.code === 'ETIMEDOUT') return `not done in ${PATIENCE} minutes`;
  // Without a status it was killed, which the system does where memory is short.
  if (status === null || /memory|bad_alloc/i.test(last)) return `needs more than the ${freeGB()} GB that are free`;
  return `failed: ${last.slice(0, 100)}`;
}

const freeGB = () => (freemem() / 1e9).toFixed(0);
