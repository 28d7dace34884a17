/** DNA as ids: A, C, G and T are 0 to 3, so that the complement of b is 3 − b. */
import type {BatchDataset, TokenBatch} from '../../src';
import type {Random} from '../../src/random';
import * as tf from '@tensorflow/tfjs';

export const BASES = 'ACGT';

/** A stretch of a sequence: [from, to) as shares of its length. */
export type Region = readonly [from: number, to: number];

/**
 * The first sequence of a FASTA file. Letters that stand for several bases, of which genomes have a few, become the first of these.
 *
 * @throws Error if it is none.
 */
export function readFasta(text: string): Uint8Array {
  if (!text.startsWith('>')) throw new Error('FASTA: the text must start with >');
  const [, ...lines] = text
    .slice(0, text.indexOf('>', 1) >>> 0)
    .trimEnd()
    .split('\n');
  const letters = lines.join('').toUpperCase().replaceAll('\r', '');
  const codes: Record<string, number> = {
    A: 0,
    C: 1,
    G: 2,
    T: 3,
    R: 0,
    Y: 1,
    K: 2,
    M: 0,
    S: 1,
    W: 0,
    B: 1,
    D: 0,
    H: 0,
    V: 0,
    N: 0,
  };
  return Uint8Array.from(letters, (letter) => {
    if (!(letter in codes)) throw new Error(`FASTA: the text has ${JSON.stringify(letter)}, which is no base`);
    return codes[letter];
  });
}

export function reverseComplement(bases: Uint8Array): Uint8Array {
  return Uint8Array.from(bases, (_, i) => 3 - bases[bases.length - 1 - i]);
}

export function cut(bases: Uint8Array, [from, to]: Region): Uint8Array {
  return bases.subarray(Math.round(from * bases.length), Math.round(to * bases.length));
}

/** Endless windows at random places of the stretches, of either strand. */
export function strands(
  stretches: readonly Uint8Array[],
  {batchSize, length}: {batchSize: number; length: number},
  random: Random,
): BatchDataset<TokenBatch> {
  const places = stretches.map((stretch) => stretch.length - length);
  const total = places.reduce((sum, count) => sum + count, 0);
  const draw = () => {
    let place = random.below(total);
    let i = 0;
    while (place >= places[i]) place -= places[i++];
    const window = stretches[i].subarray(place, place + length + 1);
    return random.below(2) === 0 ? window : reverseComplement(window);
  };
  const next = () => {
    const windows = Array.from({length: batchSize}, draw);
    const stacked = (offset: number) => {
      const values = new Int32Array(batchSize * length);
      windows.forEach((window, row) => values.set(window.subarray(offset, offset + length), row * length));
      return tf.tensor2d(values, [batchSize, length], 'int32');
    };
    return {xs: stacked(0), ys: stacked(1)};
  };
  return {iterator: async () => ({next: async () => ({done: false, value: next()})})};
}
