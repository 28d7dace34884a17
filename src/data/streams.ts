/** Streams of text: decoded, cut where words end, and taken apart into lines of JSON. */
import type {ByteStream} from './documents';

/** Characters in a piece, about: enough that a call of the tokenizer is worth it, few enough to stay in a cache. */
const PIECE = 2 ** 16;

/** UTF-8 to text. @throws Error naming the source, if it is anything else. */
export async function* decoded(name: string, bytes: ByteStream): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', {fatal: true});
  const decode = (chunk?: Uint8Array) => {
    try {
      return chunk ? decoder.decode(chunk, {stream: true}) : decoder.decode();
    } catch {
      throw new Error(`openData: ${name} is not UTF-8 text`);
    }
  };
  for await (const chunk of bytes) yield typeof chunk === 'string' ? chunk : decode(chunk);
  yield decode();
}

/**
 * Joins and cuts a text so that each piece but the first begins with the white space after a word. Byte-level tokenizers split there in
 * any case, so that the tokens are those of the text in one; others may have one more or less at a cut.
 */
export async function* cutAtSpaces(chunks: AsyncIterable<string>, size = PIECE): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    rest += chunk;
    while (rest.length >= 2 * size) {
      const at = lastCut(rest, 2 * size) ?? (isWhole(rest, size) ? size : size + 1);
      yield rest.slice(0, at);
      rest = rest.slice(at);
    }
  }
  if (rest !== '') yield rest;
}

/** The last place before `end` where white space follows something else; never far back. */
function lastCut(text: string, end: number): number | undefined {
  for (let at = end - 1; at > end / 2; at--) {
    if (/\s/.test(text[at]) && /\S/.test(text[at - 1])) return at;
  }
  return undefined;
}

/** Whether a cut there leaves both halves of a character together. */
function isWhole(text: string, at: number): boolean {
  return text.codePointAt(at - 1)! < 2 ** 16;
}

/** The values of a file with an object in each line, which are counted from 1; empty lines are passed over. */
export async function* jsonLines(
  name: string,
  chunks: AsyncIterable<string>,
): AsyncGenerator<{line: number; value: object}> {
  let number = 0;
  let rest = '';
  const parse = (line: string): {line: number; value: object}[] => {
    number++;
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      value = undefined;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return [{line: number, value}];
    throw new Error(`openData: ${name}:${number} must be an object of JSON, but is ${line.slice(0, 60)}`);
  };
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield* parse(line);
  }
  if (rest !== '') yield* parse(rest);
}
