/**
 * The model of a `tokenizer.json` and its added tokens, checked before the package sees them: it takes any ids, and would
 * hang, fall over or encode differently. Where Hugging Face's Python library gives other ids, the field is refused.
 */
import {Field} from './fields';

/** The largest vocabularies have half of this. */
const maxTokens = 2 ** 19;
/** In all tokens of a Unigram model, of which the package makes a tree with a map for each; the largest have 1.5 million. */
const maxTreeCharacters = 2 ** 21;

export interface Vocabulary {
  /** The model in the package's words. */
  model: Record<string, unknown>;
  /** Of the model itself. */
  ids: Map<string, number>;
}

/** What reaches the model, as far as it matters to it. */
export interface Input {
  /** Only the 256 characters that stand for bytes. */
  bytesOnly: boolean;
  preTokenizer: Field;
}

/** @throws An error naming the field. */
export function vocabulary(field: Field, input: Input): Vocabulary {
  const type = field.get('type').oneOf('BPE', 'WordPiece', 'Unigram');
  if (type === 'Unigram') return unigram(field, input);
  const ids = vocabularyIds(field.get('vocab'));
  return {ids, model: type === 'BPE' ? bpe(field, ids, input) : wordPiece(field, ids)};
}

function bpe(field: Field, ids: Map<string, number>, {bytesOnly, preTokenizer}: Input): Record<string, unknown> {
  const dropout = field.get('dropout');
  if (!dropout.isNull && dropout.value !== 0) dropout.refuse('null');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const affix = field.get(name);
    if (!affix.isNull && affix.string() !== '') affix.refuse('null');
  }
  const fallback = field.get('byte_fallback');
  const usesFallback = fallback.boolean(false);
  if (usesFallback && byteTokens.some((token) => !ids.has(token)))
    fallback.refuse('true with all tokens <0x00> to <0xFF>');
  const unknown = field.get('unk_token');
  if (!unknown.isNull && !ids.has(unknown.string())) unknown.wrong('a token of the vocabulary');
  const fuse = field.get('fuse_unk');
  const fuses = fuse.boolean(false);
  if (!usesFallback && !(bytesOnly && byteCharacters.every((character) => ids.has(character)))) {
    // Python joins what is left and right of a character that it drops, and no unknown ones across words.
    if (unknown.isNull) unknown.refuse('a token, unless there is one for every byte');
    if (fuses) fuse.refuse('false, unless there is a token for every byte');
  }
  const merges = checkMerges(field.get('merges'), ids);
  checkSplits(
    preTokenizer,
    merges.map((pair) => pair.join('')),
  );
  return {
    type: 'BPE',
    vocab: field.get('vocab').value,
    merges,
    unk_token: unknown.value ?? null,
    byte_fallback: usesFallback,
    ignore_merges: field.get('ignore_merges').boolean(false),
  };
}

function wordPiece(field: Field, ids: Map<string, number>): Record<string, unknown> {
  const unknown = field.get('unk_token');
  if (!ids.has(unknown.string())) unknown.wrong('a token of the vocabulary');
  const longest = field.get('max_input_chars_per_word');
  return {
    type: 'WordPiece',
    vocab: field.get('vocab').value,
    unk_token: unknown.value,
    continuing_subword_prefix: field.get('continuing_subword_prefix').string(),
    max_input_chars_per_word: longest.isNull ? 100 : longest.natural(),
  };
}

function unigram(field: Field, {preTokenizer}: Input): Vocabulary {
  if (field.get('byte_fallback').boolean(false)) field.get('byte_fallback').refuse('false');
  const list = field.get('vocab').list();
  checkSize(field.get('vocab'), list.length);
  const ids = new Map<string, number>();
  for (const [id, entry] of list.entries()) {
    const [token, score] = entry.list();
    if (typeof score?.value !== 'number') entry.wrong('a token and a number');
    if (ids.has(token.string())) token.wrong('there once');
    ids.set(token.string(), id);
  }
  const characters = [...ids.keys()].reduce((sum, token) => sum + token.length, 0);
  if (characters > maxTreeCharacters) {
    throw new Error(
      `loadTokenizer: model.vocab has ${characters} characters, more than the ${maxTreeCharacters} of any model`,
    );
  }
  const unknown = field.get('unk_id');
  if (unknown.natural() >= list.length) unknown.wrong(`below ${list.length}, the size of the vocabulary`);
  // The package joins unknown characters even across words.
  if (!preTokenizer.isNull) preTokenizer.get('type').oneOf('Metaspace');
  checkSplits(preTokenizer, [...ids.keys()]);
  return {ids, model: {type: 'Unigram', vocab: field.get('vocab').value, unk_id: unknown.value}};
}

/** The package does not split at Metaspace's sign, which makes no difference unless a token goes across it. */
function checkSplits(preTokenizer: Field, tokens: readonly string[]): void {
  if (preTokenizer.isNull) return;
  const type = preTokenizer.get('type').value;
  if (type === 'Sequence') {
    for (const step of preTokenizer.get('pretokenizers').list()) checkSplits(step, tokens);
  }
  if (type !== 'Metaspace' || !preTokenizer.get('split').boolean(true)) return;
  const sign = preTokenizer.get('replacement').string();
  if (tokens.some((token) => token.lastIndexOf(sign) > 0)) {
    preTokenizer.get('split').refuse(`false, as a token has ${JSON.stringify(sign)} behind its beginning`);
  }
}

function vocabularyIds(field: Field): Map<string, number> {
  const entries = Object.entries(field.object());
  checkSize(field, entries.length);
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  for (const [token, id] of entries) {
    const fail = (expected: string): never =>
      new Field(`${field.path}[${JSON.stringify(token.slice(0, 40))}]`, id).wrong(expected);
    if (!Number.isSafeInteger(id) || (id as number) < 0) fail('a whole number');
    if ((id as number) >= maxTokens) fail(`below ${maxTokens}`);
    if (taken.has(id as number)) fail('an id that no other token has');
    taken.add(id as number);
    ids.set(token, id as number);
  }
  return ids;
}

function checkSize(field: Field, size: number): void {
  if (size === 0 || size > maxTokens) {
    throw new Error(`loadTokenizer: ${field.path} must have 1 to ${maxTokens} tokens, but has ${size}`);
  }
}

/** Pairs, each of which and what it makes is in the vocabulary, as Python demands. */
function checkMerges(field: Field, ids: Map<string, number>): [string, string][] {
  const pairs: [string, string][] = [];
  const list = Array.isArray(field.value) ? (field.value as unknown[]) : field.wrong('an array');
  if (list.length > maxTokens) throw new Error(`loadTokenizer: ${field.path} must be at most ${maxTokens}`);
  for (const [i, merge] of list.entries()) {
    if (typeof merge === 'string' && merge.startsWith('#version')) continue;
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!isPair(pair)) return new Field(`${field.path}[${i}]`, merge).wrong('two tokens');
    for (const token of [...pair, pair.join('')]) {
      if (!ids.has(token)) {
        new Field(`${field.path}[${i}]`, merge).wrong('two tokens of the vocabulary that make a third of it');
      }
    }
    pairs.push(pair);
  }
  return pairs;
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string' && part !== '');
}

const byteTokens = Array.from({length: 256}, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

/** Bytes that UTF-8 has: the vocabulary of GPT-NeoX has none of the others. */
const isUtf8 = (byte: number) => byte !== 0xc0 && byte !== 0xc1 && byte < 0xf5;

/** The characters that ByteLevel has for bytes: themselves where they can be seen, else those from U+0100 on. */
const byteCharacters = (() => {
  const visible = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  const all = Array.from({length: 256}, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
  return all.filter((_, byte) => isUtf8(byte));
})();
