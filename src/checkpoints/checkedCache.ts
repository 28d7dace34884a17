/**
 * A cache that is not taken at its word: disks fill up, processes are killed in the middle of a write, and files are edited.
 * Each entry carries its key, its length and a SHA-256 of both and its bytes; one that does not fit in every way, or cannot
 * be read, counts as not there, and is fetched again.
 */
import type {ByteCache} from './cache';
import {withoutSecrets} from './secrets';

const digestBytes = 32;

export class CheckedCache {
  private broken = false;

  constructor(private readonly cache: ByteCache) {}

  /** The bytes kept under the key, if they are as many as that and unharmed. */
  async get(key: string, length: number): Promise<Uint8Array | undefined> {
    const head = heading(key, length);
    const start = digestBytes + head.length;
    try {
      const entry = await this.cache.get(key);
      if (entry?.length !== start + length) return undefined;
      const isOurs = equal(head, entry.subarray(digestBytes, start));
      const whole = isOurs && equal(await sha256(entry.subarray(digestBytes)), entry.subarray(0, digestBytes));
      // Not a Buffer, whose methods are others.
      return whole ? new Uint8Array(entry.buffer, entry.byteOffset + start, length) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Keeps the bytes if it can; a cache that could not says so once, and is left alone. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    if (this.broken) return;
    const head = heading(key, bytes.length);
    const entry = new Uint8Array(digestBytes + head.length + bytes.length);
    entry.set(head, digestBytes);
    entry.set(bytes, digestBytes + head.length);
    entry.set(await sha256(entry.subarray(digestBytes)));
    try {
      await this.cache.put(key, entry);
    } catch (error) {
      this.broken = true;
      const [file] = key.split(' ');
      console.warn(
        `fromPretrained: ${withoutSecrets(file)} could not be cached: ${withoutSecrets((error as Error).message)}`,
      );
    }
  }
}

/** Of such a length that the bytes behind it lie where floats can be read in place. */
function heading(key: string, length: number): Uint8Array {
  const text = new TextEncoder().encode(`tfjs-mamba cache 2\n${length}\n${key}\n`);
  const padded = new Uint8Array(8 * Math.ceil(text.length / 8));
  padded.set(text);
  return padded;
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
