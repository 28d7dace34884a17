/**
 * What a model of DNA is compared with: the share of each base behind every k bases, counted on both strands. Alone, with `alpha` added to
 * each count; and blended, each order with the one below it in the place of what was never counted.
 */
import {reverseComplement} from './bases';

/** The counts of each base behind each context of `order` bases, [4^order · 4]. */
export function countContexts(stretches: readonly Uint8Array[], order: number): Uint32Array {
  const counts = new Uint32Array(4 ** (order + 1));
  for (const stretch of stretches) {
    for (const strand of [stretch, reverseComplement(stretch)]) {
      let index = 0;
      for (let i = 0; i < strand.length; i++) {
        index = (index * 4 + strand[i]) % counts.length;
        if (i >= order) counts[index]++;
      }
    }
  }
  return counts;
}

/** Bits a base of a stretch by one order. The first bases, which have no whole context, are left out. */
export function markovBits(counts: Uint32Array, order: number, stretch: Uint8Array, alpha: number): number {
  let bits = 0;
  let index = 0;
  for (let i = 0; i < stretch.length; i++) {
    index = (index * 4 + stretch[i]) % counts.length;
    if (i < order) continue;
    const context = index - stretch[i];
    const total = counts[context] + counts[context + 1] + counts[context + 2] + counts[context + 3];
    bits -= Math.log2((counts[index] + alpha) / (total + 4 * alpha));
  }
  return bits / (stretch.length - order);
}

/**
 * Bits a base by all orders together: p_k = (count + weight · p_{k−1}) / (total + weight), from 1/4 below order 0.
 *
 * @param counts Of orders 0, 1, ….
 */
export function blendedBits(counts: readonly Uint32Array[], stretch: Uint8Array, weight: number): number {
  const first = counts.length - 1;
  let bits = 0;
  for (let i = first; i < stretch.length; i++) {
    let share = 0.25;
    let index = 0;
    for (let order = 0; order < counts.length; order++) {
      const table = counts[order];
      index += stretch[i - order] * 4 ** order;
      const context = index - (index % 4);
      const total = table[context] + table[context + 1] + table[context + 2] + table[context + 3];
      share = (table[index] + weight * share) / (total + weight);
    }
    bits -= Math.log2(share);
  }
  return bits / (stretch.length - first);
}
