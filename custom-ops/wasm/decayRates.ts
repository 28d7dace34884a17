/** The decay rates of a block's states from what its weights hold, for a token through a stack of blocks. */
import {load4, store4} from './vector';
import {exp} from './functions';

/** A = -exp(ALog). */
export function decayRates(ALog: usize, A: usize, size: i32): void {
  for (let i = 0; i < size; i += 4) {
    const at = <usize>i << 2;
    store4(A + at, f32x4.neg(exp(load4(ALog + at, size - i))), size - i);
  }
}
