/**
 * Public data that the scripts train on and that is not in this repository: fetched once over https at a pinned commit, checked against a
 * digest, and kept in `.cache/data`; or taken from a folder that is there already (`--data`), and checked likewise.
 */
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readFile, rename, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';

/** Where what was fetched is kept, from where the scripts are run. */
export const cacheFolder = join('.cache', 'data');

export interface SourceFile {
  /** Its name in a folder of data. */
  name: string;
  url: string;
  /** Of its bytes, in hexadecimal. */
  sha256: string;
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * The bytes of a file: from the folder if one is given, else from the cache, else from its URL.
 *
 * @throws Error if it cannot be had, or is another than the one that the results are of.
 */
export async function sourceFile({name, url, sha256: digest}: SourceFile, folder?: string): Promise<Uint8Array> {
  const path = join(folder ?? cacheFolder, name);
  if (folder !== undefined || existsSync(path)) {
    return checked(await readFile(path), digest, path);
  }
  const bytes = checked(await download(url), digest, url);
  await keepFile(path, bytes);
  return bytes;
}

function checked(bytes: Uint8Array, digest: string, from: string): Uint8Array {
  if (sha256(bytes) === digest) return bytes;
  throw new Error(`${from} is not the file that was expected: its SHA-256 must be ${digest}, but is ${sha256(bytes)}`);
}

/** @throws Error naming the URL and what came of it. */
export async function download(url: string): Promise<Uint8Array> {
  console.log(`fetching ${url}`);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be fetched: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Writes a file so that it is there whole or not at all. */
export async function keepFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), {recursive: true});
  await writeFile(`${path}.part`, bytes);
  await rename(`${path}.part`, path);
}
