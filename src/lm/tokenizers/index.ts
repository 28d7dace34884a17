/**
 * Text to token ids and back. Published checkpoints come with a `tokenizer.json`, which Hugging Face's own library reads;
 * small models trained from scratch do with characters or bytes, whose vocabularies are saved as JSON of two lines:
 *
 *     {"type": "character", "characters": ["\n", " ", "a", ...]}      the id of a character is its place in the list
 *     {"type": "byte"}                                                ids are the bytes of the UTF-8 form
 */
import type {CheckpointSource, SourceOptions} from '../../checkpoints/source';
import {openSource} from '../../checkpoints/source';
import type {TokenizerFiles} from '../../checkpoints/tokenizerFiles';
import {readTokenizerFiles} from '../../checkpoints/tokenizerFiles';
import {checkKeys, describe} from '../../ops/check';
import {huggingFaceTokenizer} from './huggingFace';
import {byteTokenizer, characterTokenizer} from './simple';
import type {Tokenizer} from './tokenizer';

export {byteTokenizer, characterTokenizer} from './simple';
export type {Tokenizer} from './tokenizer';

/** How a tokenizer is fetched, as {@link fromPretrained} fetches a model; of no meaning for parsed content. */
export type LoadTokenizerOptions = SourceOptions;

const OP = 'loadTokenizer';

/**
 * A tokenizer from a `tokenizer.json`, Hugging Face's or one of ours.
 *
 * Hugging Face's need the optional package `@huggingface/tokenizers`, which is loaded when this is called. What that package
 * would turn into other ids than Hugging Face's Python library is done another way or refused: guides/tokenizers.md has a
 * table.
 *
 * @param source As `fromPretrained` takes it: a URL or Hub id, in Node also a folder or file, or files of your own.
 * @throws If there is no tokenizer, the content is none, or the package is needed and not there; names the field that is wrong or not
 *   followed.
 */
export async function loadTokenizer(
  source: string | URL | CheckpointSource,
  options?: LoadTokenizerOptions,
): Promise<Tokenizer>;
/**
 * A tokenizer from what has been read already.
 *
 * @param json The parsed content of a `tokenizer.json`.
 */
export async function loadTokenizer(json: unknown): Promise<Tokenizer>;
export async function loadTokenizer(source: unknown, options: LoadTokenizerOptions = {}): Promise<Tokenizer> {
  checkKeys(OP, options, ['signal', 'revision', 'cache', 'timeout', 'token']);
  if (!(typeof source === 'string' || source instanceof URL || isCheckpointSource(source))) return fromContent(source);
  const folder = await openSource(source, options, OP);
  const files = await readTokenizerFiles(folder, {named: true});
  if (files) return tokenizerOf(files);
  const doubt = folder.doubt === undefined ? '' : `; ${folder.doubt}`;
  throw new Error(`${OP}: ${folder.name} has no tokenizer.json${doubt}`);
}

/** The tokenizer that files beside a model make. */
export async function tokenizerOf({tokenizer, config}: TokenizerFiles): Promise<Tokenizer> {
  return {...(await fromContent(tokenizer)), ...(config && {config})};
}

function isCheckpointSource(source: unknown): source is CheckpointSource {
  return typeof (source as Partial<CheckpointSource> | null)?.open === 'function';
}

async function fromContent(json: unknown): Promise<Tokenizer> {
  const content = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  if (content['type'] === 'byte') return byteTokenizer();
  if (content['type'] === 'character') return characterTokenizer(content['characters'] as string[]);
  if (typeof content['model'] === 'object' && content['model'] !== null) return huggingFaceTokenizer(content);
  if (json !== content) {
    throw new Error(
      `${OP}: source must be a path, a URL, a Hub id or the parsed content of a tokenizer.json, but is ${describe(json)}`,
    );
  }
  throw new Error(
    `${OP}: json must be the content of a tokenizer.json, with a "model", or have the type "character" or "byte"; ` +
      'a path, a URL or a Hub id will do as well',
  );
}
