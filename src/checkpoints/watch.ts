/** Sees to it that a request ends: when the server is silent for too long, or when the caller has had enough. */
import {TransientError} from './retry';
import {withoutSecrets} from './secrets';

/** What setTimeout can wait at most. */
const longestTimeout = 2 ** 31 - 1;

/** Ends a request when nothing comes for too long, or when the caller has had enough. */
export class Watch {
  private readonly linked: LinkedAbort;
  private silent = false;

  constructor(
    private readonly name: string,
    private readonly timeout: number,
    private readonly caller: AbortSignal | undefined,
  ) {
    this.linked = new LinkedAbort(caller);
  }

  get signal(): AbortSignal {
    return this.linked.signal;
  }

  /** Only while something is awaited is silence the server's. */
  async over<T>(awaited: Promise<T>): Promise<T> {
    const stop = () => {
      this.silent = true;
      this.linked.abort();
    };
    const timer = this.timeout > longestTimeout ? undefined : setTimeout(stop, this.timeout);
    try {
      return await awaited;
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.linked.release();
  }

  /** The error to throw. A machine that wakes up finds every server silent, so that is no reason to give up at once. */
  failure(error: unknown, what: string): unknown {
    if (this.caller?.aborted) return this.caller.reason;
    if (!this.silent) return new TransientError(`${this.name} ${what}: ${reason(error)}`, {cause: error});
    return new TransientError(`${this.name}: the server was silent for ${this.timeout / 1000} s`, {slow: true});
  }
}

/** Can be aborted by itself, and is when the outer signal is. (AbortSignal.any is too new for some browsers.) */
export class LinkedAbort {
  private readonly controller = new AbortController();
  private readonly follow = () => this.controller.abort(this.outer!.reason);

  constructor(private readonly outer: AbortSignal | undefined) {
    if (outer?.aborted) this.follow();
    else outer?.addEventListener('abort', this.follow);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(reason?: unknown): void {
    this.controller.abort(reason);
  }

  /** The outer signal may live much longer than this. */
  release(): void {
    this.outer?.removeEventListener('abort', this.follow);
  }
}

/** fetch tells what happened in the cause of its error, if at all, and in its code where there are several causes. */
function reason(error: unknown): string {
  const {message, cause} = error as Error;
  const told = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return withoutSecrets(told || message);
}
