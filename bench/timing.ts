/** Timing for the benchmarks. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../src';

/**
 * The shortest time of a call in milliseconds, over at least `least` calls and about `budget` milliseconds; a first call does not
 * count. The shortest, because what other work adds on a shared machine is not of the call.
 */
export function bestTime(call: () => void, budget = 1000, least = 5): number {
  call();
  let best = Infinity;
  let runs = 0;
  const end = performance.now() + budget;
  while (runs++ < least || performance.now() < end) {
    const start = performance.now();
    call();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Runs a computation to its end and frees what it gives; on TensorFlow every op runs to its end. */
export function run(compute: () => tf.Tensor[] | tf.Tensor): () => void {
  return () => {
    tf.dispose(tf.tidy(compute));
  };
}

/** Tokens a second of greedy generation, by the median token and by the best, and the tokens. */
export async function timeGreedy(model: MambaLM, prompt: number[], count: number): Promise<Greedy> {
  const tokens: number[] = [];
  const times: number[] = [];
  let last: number | undefined;
  for await (const {id} of model.generate(prompt, {temperature: 0, maxNewTokens: count, stopTokens: []})) {
    const now = performance.now();
    if (last !== undefined) times.push(now - last); // the first holds the prefill
    last = now;
    tokens.push(id);
  }
  times.sort((a, b) => a - b);
  return {decode: 1e3 / times[times.length >> 1], best: 1e3 / times[0], tokens};
}

/** What {@link timeGreedy} gives. */
export interface Greedy {
  decode: number;
  best: number;
  tokens: number[];
}

/** The middle of numbers, the upper one of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Aligned columns. */
export function printTable(rows: (string | number)[][]): void {
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toPrecision(3) : cell)));
  const widths = text[0].map((_, i) => Math.max(...text.map((row) => row[i]?.length ?? 0)));
  for (const row of text)
    console.log(row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '));
}
