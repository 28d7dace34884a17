/**
 * A file that the server serves in ranges: nothing is fetched that nobody reads, four requests are on their way at a time,
 * and one that breaks off goes on at the byte it had come to.
 */
import {blobFile, type ByteFile} from './bytes';
import {describe, type Reply} from './endpoint';
import type {HttpFile} from './httpFile';
import {contentRange, fileVersion, isPage, sameVersion, statedLength, type FileVersion} from './httpHeaders';
import {Retries} from './retry';
import {LinkedAbort} from './watch';
import {collect} from './wholeFile';

const rangesInFlight = 4;
/** Less is not worth a request of its own. */
const smallestRange = 64 * 1024;

export class RangeFile implements ByteFile {
  /** Is there once the server has sent the whole file in answer to a range. */
  private whole?: Promise<ByteFile>;

  /** @param prefix The bytes from the start that are there already. */
  constructor(
    private readonly http: HttpFile,
    readonly size: number,
    private readonly version: FileVersion,
    private readonly prefix: Uint8Array,
  ) {}

  get name(): string {
    return this.http.name;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const {prefix} = this;
    if (end <= prefix.length) return prefix.subarray(start, end);
    if (start < prefix.length) {
      const bytes = new Uint8Array(end - start);
      bytes.set(prefix.subarray(start));
      bytes.set(await this.read(prefix.length, end), prefix.length - start);
      return bytes;
    }
    if (this.whole) return (await this.whole).read(start, end);
    const kept = await this.http.cached(this.version, this.size, start, end);
    if (kept) {
      this.http.arrived.add(kept.length);
      return kept;
    }
    const bytes = await this.fetch(start, end);
    await this.http.keep(this.version, this.size, start, bytes);
    return bytes;
  }

  private async fetch(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    const step = Math.max(smallestRange, Math.ceil(bytes.length / rangesInFlight));
    const together = new LinkedAbort(this.http.signal);
    const parts: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += step) {
      parts.push(this.fill(bytes.subarray(at, at + step), start + at, together.signal));
    }
    try {
      await Promise.all(parts);
    } catch (error) {
      together.abort(error);
      throw error;
    } finally {
      together.release();
    }
    return bytes;
  }

  private async fill(bytes: Uint8Array, start: number, signal: AbortSignal): Promise<void> {
    const end = start + bytes.length;
    const retries = new Retries(signal);
    let at = start;
    while (at < end) {
      const before = at;
      try {
        const reply = await this.http.endpoint.get(signal, {start: at, end});
        if (reply.response.status === 200 && this.isSameFile(reply)) {
          bytes.set(await this.fromWhole(reply, at, end), at - start);
          return;
        }
        for await (const chunk of reply.body(this.lengthOf(reply, at, end))) {
          bytes.set(chunk, at - start);
          at += chunk.length;
          this.http.arrived.add(chunk.length);
        }
      } catch (error) {
        await retries.after(error, at - before);
      }
    }
  }

  /** How many of the bytes an answer has; servers may send fewer than they were asked for. */
  private lengthOf(reply: Reply, start: number, end: number): number {
    const {status, headers} = reply.response;
    const range = status === 206 ? contentRange(headers) : undefined;
    const isSame = this.isSameFile(reply);
    if (isSame && range?.start === start && range.end <= end) return range.end - start;
    reply.cancel();
    const asked = `: bytes ${start} to ${end} were asked for, but the server`;
    if (isPage(headers)) throw new Error(`${this.name}${asked} answered with a page`);
    if (status !== 200 && status !== 206) throw new Error(`${this.name}${asked} answered ${describe(reply.response)}`);
    const changed = !isSame && (range !== undefined || status === 200);
    throw new Error(`${this.name}${changed ? ' changed on the server while it was read' : `${asked} sent others`}`);
  }

  private isSameFile({response: {status, headers}}: Reply): boolean {
    const size = status === 206 ? contentRange(headers)?.size : (statedLength(headers) ?? this.size);
    return size === this.size && sameVersion(fileVersion(headers), this.version) && !isPage(headers);
  }

  /** The server sent everything, as it may: then that is kept, and nothing more is asked for. */
  private async fromWhole(reply: Reply, start: number, end: number): Promise<Uint8Array> {
    if (this.whole) {
      reply.cancel();
    } else {
      this.whole = collect(this.http, reply, this.size).then((blob) => blobFile(this.name, blob));
      this.whole.catch(() => (this.whole = undefined));
    }
    return (await this.whole).read(start, end);
  }
}
