/**
 * A file of the Hub on its way into the cache: what is read is fetched in order, written to the disk and read from there, so that a
 * download that was broken off goes on where it stopped, in whatever process. When the last byte is there its digest is checked against the
 * name that the Hub gave it, and only then it is a blob. Node only.
 *
 * Two processes that fetch the same write the same bytes to the same places, and the first one gives the file its name.
 */
import {createHash, type Hash} from 'node:crypto';
import {open, rename, rm, stat} from 'node:fs/promises';
import type {ByteFile, OnBytes} from './bytes';
import {pieceBytes} from './bytes';

interface HubFileOptions {
  remote: ByteFile;
  /** Where it will lie. */
  blob: string;
  etag: string;
  onBytes?: OnBytes;
  /** It is there, whole. */
  onWhole(): Promise<void>;
}

export class HubFile implements ByteFile {
  /** Where the bytes are for now. */
  private path: string;
  private turn: Promise<unknown> = Promise.resolve();
  private told = 0;

  private constructor(
    private readonly options: HubFileOptions,
    /** The bytes from the start that are on the disk, and in the digest. */
    private length: number,
    private readonly digest: Hash | undefined,
  ) {
    this.path = partial(options);
  }

  static async open(options: HubFileOptions): Promise<HubFile> {
    const {remote, etag} = options;
    const path = partial(options);
    let length = await stat(path).then(({size}) => size, () => 0); // prettier-ignore
    if (length > remote.size) {
      await rm(path, {force: true});
      length = 0;
    }
    if (remote.size === 0) await (await open(path, 'w')).close(); // nothing will be written
    const file = new HubFile(options, 0, digestOf(etag, remote.size));
    await file.takeUp(length);
    if (file.length === remote.size) await file.finish();
    return file;
  }

  get name(): string {
    return this.options.remote.name;
  }

  get size(): number {
    return this.options.remote.size;
  }

  /** One at a time, because what is fetched is fetched in order. */
  read(start: number, end: number): Promise<Uint8Array> {
    const read = this.turn.then(async () => {
      await this.fetchTo(end);
      if (end > this.told) this.options.onBytes?.(end - this.told);
      this.told = Math.max(this.told, end);
      return this.readLocal(start, end);
    });
    this.turn = read.catch(() => undefined);
    return read;
  }

  private async fetchTo(end: number): Promise<void> {
    if (this.length >= end) return;
    while (this.length < end) {
      const stop = Math.min(end, this.length + pieceBytes);
      const bytes = await this.options.remote.read(this.length, stop);
      await this.write(bytes);
      this.digest?.update(bytes);
      this.length = stop;
    }
    if (this.length === this.size) await this.finish();
  }

  /** Reads what an earlier process has left into the digest. */
  private async takeUp(length: number): Promise<void> {
    while (this.length < length) {
      const stop = Math.min(length, this.length + pieceBytes);
      this.digest?.update(await this.readLocal(this.length, stop));
      this.length = stop;
    }
  }

  private async finish(): Promise<void> {
    const {blob, etag, onWhole} = this.options;
    if (this.digest && this.digest.digest('hex') !== etag) {
      await rm(this.path, {force: true});
      throw new Error(
        `${this.name}: what came is not what the Hub says it sent (its digest differs), and has been removed; load it again`,
      );
    }
    await rename(this.path, blob).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' || !(await stat(blob).catch(() => undefined))) throw error; // another process was first
    });
    this.path = blob;
    await onWhole();
  }

  private async write(bytes: Uint8Array): Promise<void> {
    const file = await open(this.path, this.length === 0 ? 'w' : 'r+');
    try {
      for (let at = 0; at < bytes.length;) {
        at += (await file.write(bytes, at, bytes.length - at, this.length + at)).bytesWritten;
      }
      if (this.length + bytes.length === this.size) await file.sync();
    } finally {
      await file.close();
    }
  }

  private async readLocal(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    if (bytes.length === 0) return bytes;
    const file = await open(this.path);
    try {
      for (let at = 0; at < bytes.length;) {
        const {bytesRead} = await file.read(bytes, at, bytes.length - at, start + at);
        if (bytesRead === 0) throw new Error(`${this.path} became shorter while it was read`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }
}

/** Not the name that Hugging Face's library uses, which holds a lock on its own. */
function partial({blob}: HubFileOptions): string {
  return `${blob}.tfjs-mamba.incomplete`;
}

/** What the name of a blob is the digest of: large files of their bytes, the others of what git makes of them. */
function digestOf(etag: string, size: number): Hash | undefined {
  if (/^[\da-f]{64}$/.test(etag)) return createHash('sha256');
  return /^[\da-f]{40}$/.test(etag) ? createHash('sha1').update(`blob ${size}\0`) : undefined;
}
