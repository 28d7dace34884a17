/**
 * What there is to learn from: texts, and examples of one line of JSON each, as mlx_lm reads them. Both come as streams, so that a source
 * may be larger than memory. Node only.
 */
import {createReadStream} from 'node:fs';
import {open, readdir, stat} from 'node:fs/promises';
import {join} from 'node:path';
import type {ChatMessage} from '../lm/chat';
import {cutAtSpaces, decoded, jsonLines} from './streams';

/** An example of a file of JSON lines. */
export type Example = {text: string} | {prompt: string; completion: string} | {messages: ChatMessage[]};

/** A text and what errors call it; its pieces end where words do. */
export interface Text {
  name: string;
  pieces: AsyncIterable<string>;
}

/** One part of the data, which can be read again and again. */
export type Split =
  | {form: 'texts'; name: string; read(): AsyncIterable<Text>}
  | {form: 'examples'; name: string; read(): AsyncIterable<Example>};

/** The parts of a source: those that it names, or all of it as `train`. */
export type Splits = Partial<Record<'train' | 'valid' | 'test', Split>>;

/** A stream of bytes, such as standard input. */
export type ByteStream = AsyncIterable<Uint8Array | string>;

const OP = 'openData';

/**
 * @param source A text file; a file of JSON lines (`.jsonl`); a folder with `train.jsonl` and, if there are any, `valid.jsonl` and
 *   `test.jsonl`; a folder of texts, with those below it, in the order of their paths; or a stream of text, which is read once.
 * @throws Error if there is nothing there.
 */
export async function openSplits(source: string | ByteStream): Promise<Splits> {
  if (typeof source !== 'string') {
    const text = async function* () {
      yield {name: 'the stream', pieces: cutAtSpaces(decoded('the stream', source))};
    };
    return {train: {form: 'texts', name: 'the stream', read: text}};
  }
  const found = await stat(source).catch((error: Error) => {
    throw new Error(`${OP}: ${source} cannot be read: ${error.message}`);
  });
  if (!found.isDirectory()) return {train: isLines(source) ? examples(source) : texts(source, [source])};
  const names = await readdir(source);
  if (names.includes('train.jsonl') || names.includes('test.jsonl') || names.includes('valid.jsonl')) {
    const splits = (['train', 'valid', 'test'] as const)
      .filter((split) => names.includes(`${split}.jsonl`))
      .map((split) => [split, examples(join(source, `${split}.jsonl`))]);
    return Object.fromEntries(splits) as Splits;
  }
  const files = await textFiles(source);
  if (files.length === 0) throw new Error(`${OP}: ${source} has no train.jsonl and no text files`);
  return {train: texts(source, files)};
}

function isLines(file: string): boolean {
  return /\.(jsonl|ndjson)$/i.test(file);
}

function texts(name: string, files: readonly string[]): Split {
  return {
    form: 'texts',
    name,
    async *read() {
      for (const file of files) yield {name: file, pieces: cutAtSpaces(decoded(file, createReadStream(file)))};
    },
  };
}

function examples(file: string): Split {
  return {
    form: 'examples',
    name: file,
    async *read() {
      for await (const {line, value} of jsonLines(file, decoded(file, createReadStream(file)))) {
        yield readExample(`${file}:${line}`, value);
      }
    },
  };
}

/** The files of a folder and of those below it, but for hidden ones and what is no text. */
async function textFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  const entries = await readdir(folder, {withFileTypes: true});
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    if (entry.isDirectory()) files.push(...(await textFiles(path)));
    else if (entry.isFile() && (await isText(path))) files.push(path);
  }
  return files;
}

/** Whether the beginning has no zero byte, which text never has. */
async function isText(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const {buffer, bytesRead} = await file.read(new Uint8Array(4096), 0, 4096, 0);
    return !buffer.subarray(0, bytesRead).includes(0);
  } finally {
    await file.close();
  }
}

function readExample(where: string, value: object): Example {
  const {text, prompt, completion, messages} = value as Record<string, unknown>;
  if (typeof text === 'string') return {text};
  if (typeof prompt === 'string' && typeof completion === 'string') return {prompt, completion};
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) return {messages};
  throw new Error(
    `${OP}: ${where} must have "text", or "prompt" and "completion", or "messages" of {role, content}, but has ${Object.keys(value).join(', ') || 'nothing'}`,
  );
}

function isMessage(message: unknown): message is ChatMessage {
  const {role, content} = Object(message) as Partial<ChatMessage>;
  return typeof role === 'string' && typeof content === 'string';
}
