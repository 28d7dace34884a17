/**
 * Induction heads (paper, section 4.1.2; Olsson et al. 2022): among random tokens a special one stands once, and again at the very end;
 * what followed it then is to follow it now. A model must find one place by what stands there, and carry one token to the end,
 * however far it is.
 */
import type {Random} from '../../src/random';
import type {Draw} from '../support/episodes';
import {UNASKED} from '../support/episodes';

/** Tokens, the special one among them. */
export const vocabSize = 16;
const special = vocabSize - 1;

/**
 * A sequence in pieces of at most so many tokens, so that one of a million never has to be held; the last token is the special one.
 *
 * @returns What should follow the last token.
 */
export function* inductionPieces(length: number, size: number, random: Random): Generator<Int32Array, number> {
  const place = random.below(length - 2);
  let answer = 0;
  for (let start = 0; start < length; start += size) {
    const ids = Int32Array.from({length: Math.min(size, length - start)}, () => random.below(special));
    const at = (position: number) => position - start;
    if (at(place) >= 0 && at(place) < ids.length) ids[at(place)] = special;
    if (at(place + 1) >= 0 && at(place + 1) < ids.length) answer = ids[at(place + 1)];
    if (start + size >= length) ids[ids.length - 1] = special;
    yield ids;
  }
  return answer;
}

/** Whole sequences of one length. */
export function inductionHeads(length: number): Draw {
  return (random) => {
    const pieces = inductionPieces(length, length, random);
    const ids = pieces.next().value as Int32Array;
    const labels = new Int32Array(length).fill(UNASKED);
    labels[length - 1] = pieces.next().value as number;
    return {ids, labels};
  };
}
