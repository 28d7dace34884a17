/** The process of a command: its streams, Ctrl-C and how it ends. bin/tfjs-mamba.js starts it. */
import type {Io} from './io';
import {run} from './program';

/** Milliseconds for what a failed command has still to write. */
const PATIENCE = 2000;

/** Runs what the command line says, and sets how the process ends. */
export async function main(args: readonly string[], version: string): Promise<void> {
  // TensorFlow's remarks on how it was built are nobody's business here.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const stop = new AbortController();
  // The first Ctrl-C asks for an end that saves; the second is the system's own and ends the process at once.
  process.once('SIGINT', () => stop.abort(new Error('stopped')));
  // So do those who start processes for others: launch, Slurm, Kubernetes.
  process.once('SIGTERM', () => stop.abort(new Error('stopped')));
  // Whoever reads the output may have enough, as `head` has.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const io: Io = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    stdin: process.stdin,
    signal: stop.signal,
  };
  const code = await run(args, io, version);
  process.exitCode = code;
  // Threads of wasm that ran out of memory may never end: after a failure nothing holds the process for long.
  if (code !== 0) setTimeout(() => process.exit(code), PATIENCE).unref();
  process.stdin.destroy(); // or a terminal that is still read from would keep the process
}
