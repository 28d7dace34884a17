/**
 * The data step: free-spoken-digit-dataset (Jakobovski et al., CC BY-SA 4.0), 3,000 recordings at 8 kHz of ten digits by six speakers, with
 * its official split: of each speaker and digit the recordings 0 to 4 are for the test.
 */
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import {cacheFolder, download, keepFile} from '../support/sources';
import type {Recording} from './recording';
import {parse} from './recording';

const commit = '26eb9aaf76e81b692f806f9140c2d2777410d7a1';
const archive = `https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/${commit}`;
/** Of all recordings in the order of their names, since an archive's own bytes may change. */
const digest = '45a9b976ba3397a2fd5c70a9f2e43c34f442a3a6be47392ecfc41174b678f37e';

/**
 * All recordings, in the order of their names.
 *
 * @param folder Of the WAV files; fetched if left out.
 * @throws Error if they are not those of the pinned commit.
 */
export async function readRecordings(folder = join(cacheFolder, 'spoken-digits')): Promise<Recording[]> {
  if (folder === join(cacheFolder, 'spoken-digits') && !existsSync(folder)) await fetchRecordings(folder);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.wav')).sort();
  const hash = createHash('sha256');
  const recordings: Recording[] = [];
  for (const name of names) {
    const bytes = await readFile(join(folder, name));
    hash.update(name).update(bytes);
    recordings.push(parse(name, bytes));
  }
  const found = hash.digest('hex');
  if (found !== digest) {
    throw new Error(`${folder} does not hold the 3,000 recordings of the dataset's commit ${commit}: SHA-256 ${found}`);
  }
  return recordings;
}

async function fetchRecordings(folder: string): Promise<void> {
  const tar = gunzipSync(await download(archive));
  for (const {name, bytes} of tarFiles(tar)) {
    if (/\/recordings\/[^/]+\.wav$/.test(name)) await keepFile(join(folder, basename(name)), bytes);
  }
}

/** The files of a tar archive: blocks of 512 bytes, a header and then the bytes of each. */
export function* tarFiles(tar: Uint8Array): Generator<{name: string; bytes: Uint8Array}> {
  const text = (at: number, length: number) =>
    new TextDecoder().decode(tar.subarray(at, at + length)).replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    if (!(size >= 0)) throw new Error(`tar: the header at ${at} has no size`);
    const type = text(at + 156, 1);
    const prefix = text(at + 345, 155);
    if (type === '0' || type === '') {
      yield {name: `${prefix && `${prefix}/`}${text(at, 100)}`, bytes: tar.subarray(at + 512, at + 512 + size)};
    }
    at += 512 + 512 * Math.ceil(size / 512);
  }
}
