/** Checks of what users hand to tokenizers. */

/** @throws If a text to encode is none. */
export function checkText(name: string, text: unknown): string {
  if (typeof text === 'string') return text;
  throw new Error(`${name}: text must be a string, but is ${describe(text)}`);
}

/**
 * @param vocabSize Ids are below; left out, any natural number is one.
 * @throws If one is none.
 */
export function checkIds(name: string, ids: unknown, vocabSize = Infinity): number[] {
  if (typeof ids !== 'object' || ids === null || !(Symbol.iterator in ids)) {
    throw new Error(`${name}: ids must be an array of token ids, but is ${describe(ids)}`);
  }
  return Array.from(ids as Iterable<unknown>, (id) => {
    if (Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabSize) return id as number;
    const bound = vocabSize === Infinity ? '' : ` below ${vocabSize}`;
    throw new Error(`${name}: ids must be whole numbers${bound}, but one is ${describe(id)}`);
  });
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
