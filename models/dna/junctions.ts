/**
 * Splice junctions of primates (UCI, Towell, Noordewier & Shavlik 1992): 60 bases around a border from exon to intron (EI), from intron to
 * exon (IE), or around neither (N).
 */
import {BASES} from './bases';

export const kinds = ['EI', 'IE', 'N'] as const;
export const LENGTH = 60;

export interface Junction {
  kind: number;
  /** [60,4]: 1 for the base that is there; where a letter stands for several, each has its share. */
  bases: Float32Array;
}

const several: Record<string, string> = {D: 'AGT', N: 'ACGT', S: 'CG', R: 'AG'};

/** The lines `kind, name, bases`, each sequence once. */
export function readJunctions(text: string): Junction[] {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((part) => part.trim()));
  const once = new Map(lines.map(([kind, , sequence]) => [sequence, kind]));
  return [...once].map(([sequence, kind]) => {
    const bases = new Float32Array(LENGTH * BASES.length);
    [...sequence].forEach((letter, i) => {
      const these = several[letter] ?? letter;
      for (const base of these) bases[i * BASES.length + BASES.indexOf(base)] = 1 / these.length;
    });
    return {kind: kinds.indexOf(kind as (typeof kinds)[number]), bases};
  });
}
