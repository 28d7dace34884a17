/** Ids of packed documents. */
import type {Array64, Random} from '../../support/arrays';
import {integer} from '../../support/arrays';

/**
 * Ids [B,L] of documents of random lengths, in some rows none longer than a step, in others a single one. An id may come back after
 * others: what counts is that it changes.
 */
export function packedIds(random: Random, batch: number, length: number): number[][] {
  return Array.from({length: batch}, () => {
    const longest = [1, 4, 40, length][integer(random, 0, 3)];
    const ids: number[] = [];
    for (let id = 0; ids.length < length; id += integer(random, 1, 2)) {
      ids.push(...Array.from({length: integer(random, 1, longest)}, () => (id % 3) - 1));
    }
    return ids.slice(0, length);
  });
}

/** The ids of a case as the references take them. */
export function idsOf({sequenceIds}: {sequenceIds?: unknown}): Array64 | undefined {
  const rows = sequenceIds as number[][] | undefined;
  return rows && {shape: [rows.length, rows[0].length], values: Float64Array.from(rows.flat())};
}
