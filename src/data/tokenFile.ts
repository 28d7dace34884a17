/**
 * Tokens on the disk, for data that is larger than memory: written once as a stream, then read in windows. The system keeps in memory what
 * it has room for. Node only.
 */
import type {FileHandle} from 'node:fs/promises';
import {mkdtemp, open, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import type {TokenSource} from '../training/data';

const BYTES = Int32Array.BYTES_PER_ELEMENT;

export class TokenFile implements TokenSource {
  length = 0;

  private constructor(
    private readonly file: FileHandle,
    private readonly folder: string,
  ) {}

  /** An empty one, in the folder for temporary files. */
  static async create(): Promise<TokenFile> {
    const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-tokens-'));
    const path = join(folder, 'tokens');
    const file = await open(path, 'wx+');
    // Without a name it is gone when the process is, however that ends. Where the system refuses, close() takes it away.
    await rm(folder, {recursive: true, force: true}).catch(() => undefined);
    return new TokenFile(file, folder);
  }

  async append(tokens: ArrayLike<number>): Promise<void> {
    const bytes = new Uint8Array(Int32Array.from(tokens).buffer);
    try {
      for (let at = 0; at < bytes.length;) {
        const {bytesWritten} = await this.file.write(bytes, at, bytes.length - at, this.length * BYTES + at);
        at += bytesWritten;
      }
    } catch (error) {
      const {message} = error as Error;
      throw new Error(
        `openData: the tokens, so far ${this.length}, cannot be written to ${dirname(this.folder)}: ${message}; TMPDIR names another place`,
        {cause: error},
      );
    }
    this.length += tokens.length;
  }

  /** The tokens [start, end). */
  async read(start: number, end: number): Promise<Int32Array> {
    const tokens = new Int32Array(end - start);
    const bytes = new Uint8Array(tokens.buffer);
    for (let at = 0; at < bytes.length;) {
      const {bytesRead} = await this.file.read(bytes, at, bytes.length - at, start * BYTES + at);
      if (bytesRead === 0) throw new Error(`openData: tokens ${start} to ${end} are not in the file of ${this.length}`);
      at += bytesRead;
    }
    return tokens;
  }

  /** Frees the disk. */
  async close(): Promise<void> {
    await this.file.close();
    await rm(this.folder, {recursive: true, force: true});
  }
}

/** The part [from, to) of some tokens. */
export function partOf(source: TokenSource, from: number, to: number): TokenSource {
  return {length: to - from, read: (start, end) => source.read(from + start, from + end)};
}
