/**
 * JSON from files nobody vouches for. JSON.parse alone lets the last of two equal keys win silently, and stumbles over the
 * Infinity that Python writes; a scan before it settles both, and bounds the depth and the number of values.
 */
import {readText, type ByteFile} from './bytes';

/**
 * Large enough for the index or the header of any published model, by a factor of 100. Together they hold what JSON.parse
 * may take below 300 MB and two seconds: it is the number of values, not of bytes, that costs, above all of keys.
 */
export const maxJsonBytes = 32 * 1024 * 1024;
const maxValues = 128 * 1024;
/** A tokenizer's vocabulary and merges are a value each, or three: 2^19 tokens at most are taken, and as many merges. */
export const maxTokenizerValues = 2 ** 21;
const maxDepth = 64;

export type JsonObject = Record<string, unknown>;

/** Reads a file that holds one JSON object. */
export async function readJsonObject(file: ByteFile, limit = maxValues): Promise<JsonObject> {
  return parseJsonObject(file.name, await readText(file, maxJsonBytes), limit);
}

/**
 * Parses a JSON object without repeated keys. NaN and ±Infinity, which are not JSON, become strings: harmless where nobody
 * reads them, and of the wrong type where somebody does.
 */
export function parseJsonObject(name: string, text: string, limit = maxValues): JsonObject {
  const json = scan(name, text, limit);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new Error(`${name} is not JSON: ${(error as Error).message}`, {cause: error});
  }
  if (!isObject(value)) throw new Error(`${name} must hold a JSON object`);
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks keys, depth and the number of values; gives the text back with non-finite numbers quoted. */
function scan(name: string, text: string, limit: number): string {
  const open: (Set<string> | undefined)[] = []; // keys of each open object, undefined for an array
  let expectKey = false;
  let out = '';
  let copied = 0;
  let values = 0;
  const addValue = () => {
    if (++values > limit) throw new Error(`${name} has more than ${limit} values`);
  };
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '"': {
        const end = endOfString(name, text, i);
        if (expectKey) {
          addKey(name, open.at(-1)!, text.slice(i, end));
          expectKey = false;
        }
        i = end - 1;
        break;
      }
      case '{':
      case '[':
        addValue();
        expectKey = text[i] === '{';
        open.push(expectKey ? new Set() : undefined);
        if (open.length > maxDepth) throw new Error(`${name} nests deeper than ${maxDepth} levels`);
        break;
      case '}':
      case ']':
        open.pop();
        expectKey = false;
        break;
      case ',':
        addValue();
        expectKey = open.at(-1) !== undefined;
        break;
      case 'I':
      case 'N': {
        const word = text[i] === 'I' ? 'Infinity' : 'NaN';
        if (!text.startsWith(word, i)) break; // JSON.parse will say what is wrong
        const start = text[i - 1] === '-' ? i - 1 : i;
        out += `${text.slice(copied, start)}"${text.slice(start, i + word.length)}"`;
        copied = i + word.length;
        i = copied - 1;
      }
    }
  }
  return copied === 0 ? text : out + text.slice(copied);
}

/** Index after the closing quote of the string that begins at `start`. */
function endOfString(name: string, text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote > 0; quote = text.indexOf('"', quote + 1)) {
    let escapes = quote;
    while (text[escapes - 1] === '\\') escapes--;
    if ((quote - escapes) % 2 === 0) return quote + 1;
  }
  throw new Error(`${name} is not JSON: it ends inside a string`);
}

function addKey(name: string, keys: Set<string>, quoted: string): void {
  let key = quoted.slice(1, -1);
  try {
    if (key.includes('\\')) key = JSON.parse(quoted) as string;
  } catch {
    throw new Error(`${name} is not JSON: ${quoted.slice(0, 80)} is no string`);
  }
  if (keys.has(key)) throw new Error(`${name} has the key ${JSON.stringify(key.slice(0, 200))} twice`);
  keys.add(key);
}
