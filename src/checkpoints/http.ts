/**
 * Files behind URLs. A first request asks for a little of the file, which is all of a config.json and the header of most
 * safetensors files, and shows whether the server serves ranges; if it does, nothing is fetched that nobody reads.
 */
import {blobFile, type ByteFile, type OnBytes} from './bytes';
import type {ByteCache} from './cache';

export interface HttpOptions {
  signal?: AbortSignal;
  cache?: ByteCache;
}

const firstBytes = 64 * 1024;

/**
 * @returns undefined if the server says that there is no such file, or answers with an HTML page, as servers of single-page
 *   applications do for every address they do not know.
 * @throws An error naming the URL.
 */
export async function openHttpFile(
  url: string,
  options: HttpOptions,
  onBytes?: OnBytes,
): Promise<ByteFile | undefined> {
  const first = await request(url, options.signal, 0, firstBytes);
  const missing = first.status === 404 || first.status === 410;
  const page = first.status === 200 && (first.headers.get('content-type') ?? '').startsWith('text/html');
  if (missing || page) {
    await first.body?.cancel();
    return undefined;
  }
  if (first.status === 206) {
    const range = contentRange(first);
    // Without the header, which a server must allow a page of another origin to see, ranges cannot be trusted.
    if (range?.start === 0) {
      const prefix = await body(url, first, range.end, options.signal, onBytes);
      return new RangeFile(url, range.size, prefix, version(first), options, onBytes);
    }
  }
  await first.body?.cancel();
  if (first.status === 416 && first.headers.get('content-range') === 'bytes */0') return blobFile(url, new Blob([]));
  const size = first.status === 200 ? statedLength(first) : undefined;
  const whole = new WholeFile(url, size, version(first), options, onBytes);
  return size === undefined ? whole.download() : whole;
}

/** A file that the server serves in ranges. */
class RangeFile implements ByteFile {
  constructor(
    readonly name: string,
    readonly size: number,
    private readonly prefix: Uint8Array,
    private readonly version: string | undefined,
    private readonly options: HttpOptions,
    private readonly onBytes?: OnBytes,
  ) {}

  async read(start: number, end: number): Promise<Uint8Array> {
    if (end <= this.prefix.length) return this.prefix.subarray(start, end);
    return cached(this, this.version, this.options.cache, start, end, this.onBytes, () => this.fetch(start, end));
  }

  private async fetch(start: number, end: number): Promise<Uint8Array> {
    const response = await request(this.name, this.options.signal, start, end);
    const problem = this.problemWith(response, start, end);
    if (problem !== undefined) {
      await response.body?.cancel();
      throw new Error(`${this.name}${problem}`);
    }
    return body(this.name, response, end - start, this.options.signal, this.onBytes);
  }

  private problemWith(response: Response, start: number, end: number): string | undefined {
    const asked = `: bytes ${start} to ${end} were asked for, but the server`;
    if (response.status !== 206) return `${asked} answered ${describe(response)}`;
    const range = contentRange(response);
    if (range?.size !== this.size || version(response) !== this.version)
      return ' changed on the server while it was read';
    return range.start === start && range.end === end ? undefined : `${asked} sent others`;
  }
}

/** A file that the server serves whole only; it is fetched when it is first read. */
class WholeFile implements ByteFile {
  private file?: Promise<ByteFile>;

  constructor(
    readonly name: string,
    private readonly statedSize: number | undefined,
    private readonly version: string | undefined,
    private readonly options: HttpOptions,
    private readonly onBytes?: OnBytes,
  ) {}

  get size(): number {
    return this.statedSize!;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    return (await this.download()).read(start, end);
  }

  download(): Promise<ByteFile> {
    this.file ??= this.fetch();
    return this.file;
  }

  private async fetch(): Promise<ByteFile> {
    const {statedSize, version, onBytes} = this;
    const {cache} = this.options;
    // Without a length the cache would not know what it holds.
    const bytes =
      statedSize === undefined
        ? await this.fetchBytes()
        : await cached(this, version, cache, 0, statedSize, onBytes, () => this.fetchBytes());
    return blobFile(this.name, new Blob([bytes as Uint8Array<ArrayBuffer>]));
  }

  private async fetchBytes(): Promise<Uint8Array> {
    const response = await request(this.name, this.options.signal);
    return body(this.name, response, this.statedSize, this.options.signal, this.onBytes);
  }
}

async function request(url: string, signal?: AbortSignal, start?: number, end?: number): Promise<Response> {
  const headers: HeadersInit = start === undefined ? {} : {Range: `bytes=${start}-${end! - 1}`};
  let response: Response;
  try {
    response = await fetch(url, {headers, signal: signal ?? null});
  } catch (error) {
    throw failure(url, 'could not be fetched', error, signal);
  }
  const known = response.ok || (start !== undefined && [404, 410, 416].includes(response.status));
  if (known) return response;
  await response.body?.cancel();
  const hint =
    response.status === 401 || response.status === 403 ? '; it may be private, gated, or not there at all' : '';
  throw new Error(`${url}: the server answered ${describe(response)}${hint}`);
}

/** The body of a response, which must have `size` bytes if that is known. */
async function body(
  url: string,
  response: Response,
  size: number | undefined,
  signal: AbortSignal | undefined,
  onBytes: OnBytes | undefined,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const {value, done} = (await reader?.read()) ?? {done: true};
      if (done) break;
      length += value.length;
      if (size !== undefined && length > size) break;
      chunks.push(value);
      onBytes?.(value.length);
    }
  } catch (error) {
    throw failure(url, `broke off after ${length} bytes`, error, signal);
  }
  if (size !== undefined && length !== size) {
    await reader?.cancel();
    throw new Error(`${url}: ${size} bytes were expected, but ${length > size ? 'more' : length} came`);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** What the cache holds of a range, or else what `fetch` brings, which the cache then keeps. */
async function cached(
  {name}: ByteFile,
  version: string | undefined,
  cache: ByteCache | undefined,
  start: number,
  end: number,
  onBytes: OnBytes | undefined,
  fetch: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (!cache || version === undefined) return fetch();
  const key = `${name} ${version} ${start}-${end}`;
  const found = await cache.get(key);
  if (found?.length === end - start) {
    onBytes?.(found.length);
    return found;
  }
  const bytes = await fetch();
  try {
    await cache.put(key, bytes);
  } catch (error) {
    console.warn(`fromPretrained: ${name} could not be cached: ${(error as Error).message}`);
  }
  return bytes;
}

/** What distinguishes this file from others that have been or will be at its URL. */
function version(response: Response): string | undefined {
  return response.headers.get('etag') ?? response.headers.get('last-modified') ?? undefined;
}

function contentRange(response: Response): {start: number; end: number; size: number} | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(response.headers.get('content-range') ?? '');
  return match ? {start: Number(match[1]), end: Number(match[2]) + 1, size: Number(match[3])} : undefined;
}

/** The length of the body, where it is not that of a compressed form. */
function statedLength({headers}: Response): number | undefined {
  const length = headers.get('content-length') ?? '';
  return /^\d{1,15}$/.test(length) && !headers.has('content-encoding') ? Number(length) : undefined;
}

function describe({status, statusText}: Response): string {
  return `${status} ${statusText}`.trim();
}

function failure(url: string, what: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return error;
  const {message, cause} = error as Error;
  return new Error(`${url} ${what}: ${cause instanceof Error ? cause.message : message}`, {cause: error});
}
