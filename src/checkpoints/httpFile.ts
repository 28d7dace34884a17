/** What each file behind a URL has, however it is fetched: an address, a place in the cache, and somebody to tell of its bytes. */
import type {OnBytes} from './bytes';
import type {CheckedCache} from './checkedCache';
import {Endpoint} from './endpoint';
import type {FileVersion} from './httpHeaders';

export interface HttpOptions {
  signal?: AbortSignal;
  cache?: CheckedCache;
  /** Milliseconds of silence that end a request. */
  timeout?: number;
  /** Goes to the host of the address alone, and not along where that sends on. */
  token?: string;
}

export class HttpFile {
  readonly endpoint: Endpoint;
  readonly arrived: Arrivals;

  constructor(
    url: string,
    private readonly options: HttpOptions,
    onBytes: OnBytes | undefined,
    /** How many bytes the file may have. */
    readonly limit: number,
  ) {
    this.endpoint = new Endpoint(url, options.timeout, options.token);
    this.arrived = new Arrivals(onBytes);
  }

  /** What errors call it. */
  get name(): string {
    return this.endpoint.name;
  }

  get signal(): AbortSignal | undefined {
    return this.options.signal;
  }

  /** The bytes [start, end) of that version, if they have been kept. */
  async cached(version: FileVersion | undefined, size: number, start: number, end: number) {
    return version && this.options.cache?.get(this.key(version, size, start, end), end - start);
  }

  /** Keeps bytes for the next time. What has no version could not be told from its successor. */
  async keep(version: FileVersion | undefined, size: number, start: number, bytes: Uint8Array): Promise<void> {
    if (version) await this.options.cache?.put(this.key(version, size, start, start + bytes.length), bytes);
  }

  private key({tag, modified}: FileVersion, size: number, start: number, end: number): string {
    const parts = [this.endpoint.url, tag, modified, `${start}-${end}/${size}`];
    return parts.filter((part) => part !== undefined).join(' ');
  }
}

/** Tells of every byte once, though it may come again when a download begins anew. */
class Arrivals {
  private told = 0;

  constructor(private readonly onBytes?: OnBytes) {}

  add(count: number): void {
    this.told += count;
    this.onBytes?.(count);
  }

  /** The first `total` bytes are there. */
  reach(total: number): void {
    if (total > this.told) this.add(total - this.told);
  }
}
