/**
 * Random access to the bytes of one file, wherever it lies. Checkpoints are larger than memory should have to hold twice, so
 * every format here reads ranges; only `ReadAhead` decides how much is asked for at a time.
 */

export interface ByteFile {
  /** What errors call the file: its path or its URL. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** The bytes [start, end), exactly as many, or an error. The result must not be written to. */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** Is told of bytes as they arrive, for a progress bar. */
export type OnBytes = (count: number) => void;

const KiB = 1024;
const MiB = 1024 * KiB;

/** Largest piece that is read or written at a time. */
export const pieceBytes = 8 * MiB;

/**
 * Reads a file through a window that moves forwards, so that many small neighbouring tensors cost one request, and reading
 * in order fetches every byte once. Checks ranges and the abort signal for all formats and sources.
 */
export class ReadAhead implements ByteFile {
  /** How much to ask for at least. Small as long as headers are read, which lie far apart. */
  aheadBytes = 64 * KiB;
  private window: Uint8Array = new Uint8Array(0);
  private windowStart = 0;

  constructor(
    private readonly file: ByteFile,
    private readonly signal?: AbortSignal,
  ) {}

  get name(): string {
    return this.file.name;
  }

  get size(): number {
    return this.file.size;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    this.signal?.throwIfAborted();
    if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= this.size)) {
      throw new Error(
        `${this.name}: bytes ${start} to ${end} are not in the file, which has ${this.size}; is it cut off?`,
      );
    }
    const windowEnd = this.windowStart + this.window.length;
    if (start >= this.windowStart && end <= windowEnd) return this.fromWindow(start, end);
    if (start < this.windowStart || start >= windowEnd) {
      await this.moveTo(start, end);
      return this.fromWindow(start, end);
    }
    const head = this.fromWindow(start, windowEnd);
    await this.moveTo(windowEnd, end);
    const joined = new Uint8Array(end - start);
    joined.set(head);
    joined.set(this.fromWindow(windowEnd, end), head.length);
    return joined;
  }

  private fromWindow(start: number, end: number): Uint8Array {
    return this.window.subarray(start - this.windowStart, end - this.windowStart);
  }

  private async moveTo(start: number, end: number): Promise<void> {
    const stop = Math.max(end, Math.min(this.size, start + this.aheadBytes));
    const bytes = await this.file.read(start, stop);
    if (bytes.length !== stop - start) {
      throw new Error(`${this.name}: ${stop - start} bytes were asked for, but ${bytes.length} came`);
    }
    this.window = bytes;
    this.windowStart = start;
  }
}

/** A file that is in memory. */
export function bytesFile(name: string, bytes: Uint8Array): ByteFile {
  return {name, size: bytes.length, read: async (start, end) => bytes.subarray(start, end)};
}

/** A file that is in memory, or one that a user chose in the browser. */
export function blobFile(name: string, blob: Blob): ByteFile {
  return {
    name,
    size: blob.size,
    read: async (start, end) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
  };
}

/**
 * The text of a small file.
 *
 * @param limit More bytes than this are refused, unread.
 */
export async function readText(file: ByteFile, limit: number): Promise<string> {
  if (file.size > limit)
    throw new Error(`${file.name} has ${file.size} bytes, more than the ${limit} such a file may have`);
  return decodeText(file.name, await file.read(0, file.size));
}

/** UTF-8 to text; anything else is an error that names the file. */
export function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    throw new Error(`${name} is not UTF-8 text`);
  }
}
