/**
 * Text to token ids and back. Published checkpoints come with a `tokenizer.json`, which Hugging Face's own library reads;
 * small models trained from scratch do with characters or bytes, whose vocabularies are saved as JSON of two lines:
 *
 *     {"type": "character", "characters": ["\n", " ", "a", ...]}      the id of a character is its place in the list
 *     {"type": "byte"}                                                ids are the bytes of the UTF-8 form
 */

import type * as Library from '@huggingface/tokenizers';

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Number of ids: a model needs at least this `vocabSize`. */
  readonly vocabSize: number;
  /** Nothing is added at either end. */
  encode(text: string): number[];
  /**
   * The text of these ids.
   *
   * @param options.skipSpecialTokens Leaves out tokens such as `<|endoftext|>` (false).
   */
  decode(ids: readonly number[], options?: {skipSpecialTokens?: boolean}): string;
  /** What `loadTokenizer` makes the same tokenizer of; `JSON.stringify` calls it. */
  toJSON(): object;
}

/**
 * A tokenizer from the parsed content of a `tokenizer.json`, Hugging Face's or one of ours.
 *
 * Hugging Face's need the optional package `@huggingface/tokenizers`, which is loaded when this is called.
 *
 * @throws If the content is neither, or the package is needed and not there.
 */
export async function loadTokenizer(json: unknown): Promise<Tokenizer> {
  const content = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  if (content['type'] === 'byte') return byteTokenizer();
  if (content['type'] === 'character') return characterTokenizer(content['characters'] as string[]);
  if (typeof content['model'] === 'object' && content['model'] !== null) return huggingFaceTokenizer(content);
  throw new Error(
    'loadTokenizer: json must be the content of a tokenizer.json, with a "model", or have the type "character" or "byte"',
  );
}

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
      Array.from(text, (character) => {
        const id = ids.get(character);
        if (id === undefined) {
          throw new Error(`characterTokenizer: text has ${JSON.stringify(character)}, which is not in the vocabulary`);
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
    encode: (text) => Array.from(new TextEncoder().encode(text)),
    decode: (ids) =>
      new TextDecoder('utf-8', {ignoreBOM: true}).decode(Uint8Array.from(checkIds('byteTokenizer', ids, 256))),
    toJSON: () => ({type: 'byte'}),
  };
}

async function huggingFaceTokenizer(json: object): Promise<Tokenizer> {
  let library: typeof Library;
  try {
    // An optional peer: whoever trains on characters should not have to install or download it.
    // eslint-disable-next-line no-restricted-syntax
    library = await import('@huggingface/tokenizers');
  } catch (error) {
    throw new Error('loadTokenizer: this tokenizer.json needs the package @huggingface/tokenizers; install it', {
      cause: error,
    });
  }
  const tokenizer = new library.Tokenizer(json, {});
  // Ids need not be as many as tokens: added tokens may leave gaps.
  const vocabSize = Array.from(tokenizer.get_vocab().values()).reduce((most, id) => Math.max(most, id + 1), 0);
  return {
    vocabSize,
    encode: (text) => tokenizer.encode(text, {add_special_tokens: false}).ids,
    // The library passes over ids it does not know, such as those that pad a vocabulary, but wants at least one.
    decode: (ids, {skipSpecialTokens = false} = {}) =>
      ids.length === 0
        ? ''
        : tokenizer.decode([...ids], {
            skip_special_tokens: skipSpecialTokens,
            clean_up_tokenization_spaces: false,
          }),
    toJSON: () => json,
  };
}

function checkIds(name: string, ids: readonly number[], vocabSize: number): number[] {
  return Array.from(ids, (id) => {
    if (Number.isSafeInteger(id) && id >= 0 && id < vocabSize) return id;
    throw new Error(`${name}: ids must be whole numbers below ${vocabSize}, but one is ${id}`);
  });
}

function byCodePoint(a: string, b: string): number {
  return a.codePointAt(0)! - b.codePointAt(0)!;
}
