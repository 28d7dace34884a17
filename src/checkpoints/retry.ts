/**
 * What is tried again, and when. A load of hundreds of requests meets a reset or a busy server sooner or later; it goes on
 * after a wait that doubles each time and is random in part, so that many clients do not come back all at once.
 */

interface Transience {
  cause?: unknown;
  /** Milliseconds that the server asks to wait. */
  retryAfter?: number;
  /** Whether the failure itself took so long that it is tried once more only. */
  slow?: boolean;
}

/** A failure that may be over in a moment. Anything else ends the load. */
export class TransientError extends Error {
  constructor(
    message: string,
    readonly how: Transience = {},
  ) {
    super(message, 'cause' in how ? {cause: how.cause} : undefined);
  }
}

const maxRetries = 4;
const firstWait = 250;
/** Who asks for more than a minute is not waited for. */
const longestWait = 60_000;
/** An attempt that brought as much is no failure in a row of them. */
const progressBytes = 64 * 1024;

/** Counts the failures of one request in a row. */
export class Retries {
  private failures = 0;

  constructor(private readonly signal?: AbortSignal) {}

  /**
   * Returns when it is time for the next attempt.
   *
   * @param gained Bytes that the failed attempt brought for good.
   * @throws `error`, if it is final or one too many.
   */
  async after(error: unknown, gained = 0): Promise<void> {
    if (!(error instanceof TransientError)) throw error;
    if (gained >= progressBytes) this.failures = 0;
    const {retryAfter = 0, slow} = error.how;
    const wait = Math.max(retryAfter, firstWait * 2 ** this.failures * (0.5 + Math.random() / 2));
    this.failures += slow ? maxRetries : 1;
    if (this.failures > maxRetries || wait > longestWait) throw error;
    await clock.sleep(wait, this.signal);
  }
}

/** In an object, so that specs can do without the waits. */
export const clock = {
  /** Rejects with the signal's reason as soon as it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal!.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, milliseconds);
      if (signal?.aborted) stop();
      else signal?.addEventListener('abort', stop, {once: true});
    });
  },
};
