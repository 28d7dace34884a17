/** The data that a flag names; `-` is standard input, kept in a file of its own so that it can be read more than once. */
import {createWriteStream, existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import type {Io} from './io';
import {UsageError} from './io';

export interface DataSource {
  path: string;
  /** Takes away what was kept. */
  close(): Promise<void>;
}

/** @param flag What `--data` says. */
export async function dataSource(flag: string, io: Io): Promise<DataSource> {
  if (flag !== '-') {
    if (!existsSync(flag)) throw new UsageError(`--data ${flag}: there is no such file or folder`);
    return {path: flag, close: async () => {}};
  }
  const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-stdin-'));
  const close = () => rm(folder, {recursive: true, force: true});
  try {
    const chunks = io.stdin[Symbol.asyncIterator]();
    const first = await chunks.next();
    if (first.done) throw new UsageError('--data -: standard input is empty');
    const start = typeof first.value === 'string' ? first.value : new TextDecoder().decode(first.value);
    const path = join(folder, start.trimStart().startsWith('{') ? 'train.jsonl' : 'text.txt');
    const all = async function* () {
      yield first.value;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
    };
    await pipeline(Readable.from(all()), createWriteStream(path), {signal: io.signal});
    return {path, close};
  } catch (error) {
    await close();
    throw error;
  }
}
