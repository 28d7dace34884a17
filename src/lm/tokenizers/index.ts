/**
 * Text to token ids and back. Published checkpoints come with a `tokenizer.json`, which Hugging Face's own library reads;
 * small models trained from scratch do with characters or bytes, whose vocabularies are saved as JSON of two lines:
 *
 *     {"type": "character", "characters": ["\n", " ", "a", ...]}      the id of a character is its place in the list
 *     {"type": "byte"}                                                ids are the bytes of the UTF-8 form
 */
import {huggingFaceTokenizer} from './huggingFace';
import {byteTokenizer, characterTokenizer} from './simple';
import type {Tokenizer} from './tokenizer';

export {byteTokenizer, characterTokenizer} from './simple';
export type {Tokenizer} from './tokenizer';

/**
 * A tokenizer from the parsed content of a `tokenizer.json`, Hugging Face's or one of ours.
 *
 * Hugging Face's need the optional package `@huggingface/tokenizers`, which is loaded when this is called. What that package
 * would turn into other ids than Hugging Face's Python library is done another way or refused: guides/tokenizers.md has a
 * table.
 *
 * @throws If the content is neither, or the package is needed and not there; names the field that is wrong or not followed.
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
