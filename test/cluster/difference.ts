/** How far the weights of two trainings by training.ts are apart. Run by itself it compares what is in files, and tells. */
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Trained} from './training';

/** The largest difference of a weight, beside the largest weight of its tensor. */
export function difference(a: Trained, b: Trained): number {
  const ofTensor = (tensor: number[], i: number) => {
    const largest = Math.max(...tensor.map(Math.abs));
    return Math.max(...tensor.map((value, k) => Math.abs(value - b.weights[i][k]))) / largest;
  };
  return Math.max(...a.weights.map(ofTensor));
}

const [, script, ...files] = process.argv;
if (script === fileURLToPath(import.meta.url)) {
  const [alone, ...ranks] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as unknown);
  const [whole] = alone as Trained[];
  const worst = Math.max(...(ranks as Trained[]).map((rank) => difference(whole, rank)));
  const told = `${ranks.length} workers, ${whole.step} steps: weights to ${worst.toExponential(1)} of one process on the joined batches`;
  process.stdout.write(`${told}\n`);
  if (!(worst < 1e-6)) process.exitCode = 1;
}
