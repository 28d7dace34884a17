/**
 * One file's address and how to ask there: each request is watched for silence, keeps to where redirects have led, and
 * fails with an error that names the address without what is secret in it.
 */
import {retryAfter} from './httpHeaders';
import {TransientError} from './retry';
import {withoutSecrets} from './secrets';
import {Watch} from './watch';

/** A server that answered, but not with the file. */
export class RefusedError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const defaultTimeout = 30_000;

export class Endpoint {
  /** What errors call it. */
  readonly name: string;
  /** Where redirects have led: to a signed address, as a rule, and often on another host. */
  private moved?: string;

  constructor(
    readonly url: string,
    private readonly timeout = defaultTimeout,
    private readonly token?: string,
  ) {
    this.name = withoutSecrets(url);
  }

  /**
   * Asks for the file, or for its bytes [start, end).
   *
   * @returns An answer of status 2xx, 404, 410 or 416.
   * @throws TransientError, RefusedError, or the signal's reason.
   */
  async get(signal: AbortSignal | undefined, range?: {start: number; end: number}): Promise<Reply> {
    const {moved} = this;
    if (moved !== undefined) {
      const reply = await this.ask(moved, signal, range).catch(() => undefined);
      if (reply?.response.ok) return reply;
      reply?.cancel();
      // Signed addresses expire: begin where the first request did.
      if (this.moved === moved) this.moved = undefined;
    }
    const reply = await this.ask(this.url, signal, range);
    const {ok, status, redirected, url, headers} = reply.response;
    if (ok && redirected) this.moved = url;
    if (ok || [404, 410, 416].includes(status)) return reply;
    reply.cancel();
    const message = `${this.name}: the server answered ${describe(reply.response)}`;
    if (status === 408 || status === 429 || status >= 500) {
      const wait = retryAfter(headers);
      const asked = wait === undefined ? '' : `; it asks to wait ${Math.ceil(wait / 1000)} s`;
      throw new TransientError(message + asked, {retryAfter: wait});
    }
    const hint = status === 401 || status === 403 ? '; it may be private, gated, or not there at all' : '';
    throw new RefusedError(message + hint, status);
  }

  private async ask(url: string, signal: AbortSignal | undefined, range?: {start: number; end: number}) {
    const watch = new Watch(this.name, this.timeout, signal);
    const headers: HeadersInit = {
      ...(range && {Range: `bytes=${range.start}-${range.end - 1}`}),
      // fetch takes it out of a request that is sent on to another host; where that led is asked without it, too.
      ...(this.token !== undefined && isSameHost(url, this.url) && {Authorization: `Bearer ${this.token}`}),
    };
    try {
      const response = await watch.over(fetch(url, {headers, signal: watch.signal}));
      return new Reply(this.name, response, watch);
    } catch (error) {
      watch.end();
      throw watch.failure(error, 'could not be fetched');
    }
  }
}

function isSameHost(a: string, b: string): boolean {
  return URL.canParse(a) && new URL(a).origin === new URL(b).origin;
}

/** An answer, whose body is to be read or cancelled. */
export class Reply {
  constructor(
    private readonly name: string,
    readonly response: Response,
    private readonly watch: Watch,
  ) {}

  /**
   * The body as it comes.
   *
   * @param size How long it must be, if that is known.
   * @param limit How long it may be.
   */
  async *body(size: number | undefined, limit = Infinity): AsyncGenerator<Uint8Array> {
    const {watch} = this;
    const reader = this.response.body?.getReader();
    let length = 0;
    try {
      for (;;) {
        const {value, done} = reader ? await watch.over(reader.read()) : {done: true};
        if (done) break;
        length += value!.length;
        if (length > (size ?? Infinity)) throw new Error(`${this.name}: ${size} bytes were expected, but more came`);
        if (length > limit) throw new Error(`${this.name} has more than the ${limit} bytes such a file may have`);
        yield value!;
      }
    } catch (error) {
      const ours = length > Math.min(size ?? Infinity, limit);
      throw ours ? error : watch.failure(error, `broke off after ${length} bytes`);
    } finally {
      reader?.cancel().catch(() => {});
      watch.end();
    }
    if (size !== undefined && length < size) {
      throw new TransientError(`${this.name}: ${size} bytes were expected, but ${length} came`);
    }
  }

  /** Ends the answer unread. */
  cancel(): void {
    this.response.body?.cancel().catch(() => {});
    this.watch.end();
  }
}

export function describe({status, statusText}: Response): string {
  return `${status} ${statusText}`.trim();
}
