/** Runs a command in this process, and keeps what came out. */
import * as tf from '@tensorflow/tfjs';
import type {Io} from '../../src/cli/io';
import {run} from '../../src/cli/program';

export interface Called {
  code: number;
  out: string;
  err: string;
  /** The lines of `out` as JSON. */
  events(): Record<string, unknown>[];
}

export interface Circumstances {
  stdin?: string;
  /** Ctrl-C, as soon as that has been written to `out`. */
  stopAt?: string;
}

/** Commands that compute do so on the backend of the specs. */
const computing = ['train', 'finetune', 'generate', 'eval', 'chat'];

export async function call(args: readonly string[], {stdin, stopAt}: Circumstances = {}): Promise<Called> {
  const stop = new AbortController();
  const called = {out: '', err: ''};
  const io: Io = {
    out: (text) => {
      called.out += text;
      if (stopAt !== undefined && called.out.includes(stopAt)) stop.abort(new Error('stopped'));
    },
    err: (text) => (called.err += text),
    interactive: false,
    stdin: Object.assign(
      (async function* () {
        if (stdin !== undefined) yield new TextEncoder().encode(stdin);
      })(),
      {isTTY: stdin === undefined},
    ),
    signal: stop.signal,
  };
  const backend = computing.includes(args[0]) && !args.includes('--help') ? ['--backend', tf.getBackend()] : [];
  const code = await run(
    [args[0], ...backend, ...args.slice(1)].filter((arg) => arg !== undefined),
    io,
    '1.2.3',
  );
  const events = () => called.out.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
  return {...called, code, events};
}
