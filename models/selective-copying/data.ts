/**
 * Selective copying (paper, section 4.1.1 and figure 2): some tokens stand among many blanks, at other places in every sequence; behind it
 * come as many marks, at each of which the next of them is to be said. What has the same filter everywhere cannot tell how far back
 * they are; a model must choose what to keep by what it is.
 */
import type {Draw} from '../support/episodes';
import {UNASKED} from '../support/episodes';

/** Fourteen tokens that are copied, the blank, and the mark. */
export const vocabSize = 16;
const blank = vocabSize - 2;
const mark = vocabSize - 1;

/**
 * Sequences of `length` positions and `tokens` marks behind them.
 *
 * @throws Error if there are more tokens than places.
 */
export function selectiveCopying({length, tokens}: {length: number; tokens: number}): Draw {
  if (!(tokens <= length)) throw new Error(`selective copying: ${tokens} tokens have no place in ${length} positions`);
  return (random) => {
    const ids = new Int32Array(length + tokens).fill(blank, 0, length).fill(mark, length);
    const labels = new Int32Array(length + tokens).fill(UNASKED);
    // As many of the places that are left as there are tokens left, all equally likely.
    for (let place = 0, asked = 0; asked < tokens; place++) {
      if (random.below(length - place) >= tokens - asked) continue;
      ids[place] = labels[length + asked++] = random.below(blank);
    }
    return {ids, labels};
  };
}
