/** How much of a text are words of another. */

const words = (text: string) => text.toLowerCase().match(/[a-z]+(?:'[a-z]+)*/g) ?? [];

/** The share of the words of `sample` that occur in `corpus`; the last word of a sample may be cut off and does not count. */
export function shareOfKnownWords(sample: string, corpus: string): number {
  const known = new Set(words(corpus));
  const written = words(sample).slice(0, -1);
  return written.filter((word) => known.has(word)).length / Math.max(written.length, 1);
}
