/** Tokenizers that need no file: one id a character, or one a byte. */
import {checkIds, checkText} from './arguments';
import type {Tokenizer} from './tokenizer';

/**
 * One id for each character (Unicode code point).
 *
 * @param characters The vocabulary in the order of its ids, or a text, whose characters are sorted.
 */
export function characterTokenizer(characters: string | readonly string[]): Tokenizer {
  const isList = Array.isArray(characters) && characters.every((c) => typeof c === 'string' && [...c].length === 1);
  if (!isList && typeof characters !== 'string') {
    throw new Error('characterTokenizer: characters must be a text or an array of single characters');
  }
  const vocabulary = typeof characters === 'string' ? [...new Set(characters)].sort(byCodePoint) : [...characters];
  const ids = new Map(vocabulary.map((character, id) => [character, id]));
  if (ids.size === 0 || ids.size !== vocabulary.length) {
    throw new Error('characterTokenizer: characters must be at least one, and each a single time');
  }
  return {
    vocabSize: vocabulary.length,
    encode: (text) =>
      Array.from(checkText('characterTokenizer', text), (character) => {
        const id = ids.get(character);
        if (id === undefined) {
          throw new Error(
            `characterTokenizer: text has ${JSON.stringify(character)}, which is not in the vocabulary; leave it out, or train with byteTokenizer()`,
          );
        }
        return id;
      }),
    decode: (tokens) =>
      checkIds('characterTokenizer', tokens, vocabulary.length)
        .map((id) => vocabulary[id])
        .join(''),
    toJSON: () => ({type: 'character', characters: vocabulary}),
  };
}

/** The 256 bytes of UTF-8. Bytes that are no UTF-8 decode to U+FFFD. */
export function byteTokenizer(): Tokenizer {
  return {
    vocabSize: 256,
    encode: (text) => Array.from(new TextEncoder().encode(checkText('byteTokenizer', text))),
    decode: (ids) =>
      new TextDecoder('utf-8', {ignoreBOM: true}).decode(Uint8Array.from(checkIds('byteTokenizer', ids, 256))),
    toJSON: () => ({type: 'byte'}),
  };
}

function byCodePoint(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}
