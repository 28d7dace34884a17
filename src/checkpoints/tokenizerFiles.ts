/**
 * What stands beside a model's weights to turn text into ids. This room only carries the contents from file to file; what they mean is
 * the tokenizers' affair (src/lm/tokenizers).
 */
import {readJsonObject, maxTokenizerValues, type JsonObject} from './json';
import type {CheckpointSource} from './source';

/** The parsed contents of the files. */
export interface TokenizerFiles {
  /** Of `tokenizer.json`. */
  readonly tokenizer: object;
  /** Of `tokenizer_config.json`, where there is one: names of special tokens, a template for chats. */
  readonly config?: object;
}

const TOKENIZER = 'tokenizer.json';
const CONFIG = 'tokenizer_config.json';

/**
 * Reads them, whatever they are.
 *
 * @param options.named Whether a JSON file that the source names is the tokenizer; else that is looked for beside it.
 * @returns undefined if there is no tokenizer.
 * @throws An error naming the file.
 */
export async function readTokenizerFiles(
  source: CheckpointSource,
  {named}: {named: boolean},
): Promise<TokenizerFiles | undefined> {
  const isNamed = named && source.weights?.endsWith('.json') && !source.weights.endsWith('.index.json');
  const tokenizer = await read(source, isNamed ? source.weights! : TOKENIZER);
  return tokenizer && {tokenizer, config: await read(source, CONFIG)};
}

async function read(source: CheckpointSource, name: string): Promise<JsonObject | undefined> {
  const file = await source.open(name);
  return file && readJsonObject(file, maxTokenizerValues);
}

/** The files by their names. */
export function tokenizerFiles(contents: TokenizerFiles | undefined): Record<string, object> {
  if (contents === undefined) return {};
  return {[TOKENIZER]: contents.tokenizer, ...(contents.config && {[CONFIG]: contents.config})};
}
