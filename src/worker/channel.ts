/** The page's end: calls that wait for their answers, streams, and what becomes of both when the worker is gone. */
import {isOurs, type Answer, type Port, type Request} from './messages';

/** How a call is to be ended, and who is told of what happens meanwhile. */
export interface CallOptions {
  signal?: AbortSignal;
  events?: Record<string, ((detail: never) => unknown) | undefined>;
  /** Buffers of a call that are handed over. */
  transfer?: ArrayBuffer[];
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Channel {
  private last = 0;
  private readonly waiting = new Map<number, Waiting>();
  private readonly events = new Map<number, CallOptions['events']>();
  private gone?: Error;

  constructor(private readonly port: Port) {
    port.addEventListener('message', (event) => {
      const {data} = event as MessageEvent<Answer>;
      if (isOurs(data)) this.take(data);
    });
    port.addEventListener('error', (event) => {
      const {message} = event as Partial<ErrorEvent>;
      this.close(`the worker stopped: ${message || 'its file could not be loaded'}`);
    });
    port.addEventListener('messageerror', () => this.close('the worker sent what cannot be read'));
  }

  /** Runs a method in the worker. */
  async call<T>(method: string, args: unknown[], options: CallOptions = {}): Promise<T> {
    const id = this.begin(options);
    const end = this.heed(id, options.signal);
    try {
      return (await this.ask({id, method, args, isStream: false}, options)) as T;
    } finally {
      end();
    }
  }

  /** Runs a method that gives a stream; leaving the loop ends it. */
  async *stream<T>(method: string, args: unknown[], options: CallOptions = {}): AsyncGenerator<T, void, undefined> {
    const id = this.begin(options);
    const end = this.heed(id, options.signal);
    let isOpen = true;
    try {
      this.post({id, method, args, isStream: true});
      for (;;) {
        const {value, done} = (await this.ask({id, next: true}, {signal: options.signal})) as IteratorResult<T, void>;
        if (done) break;
        yield value;
      }
      isOpen = false;
    } finally {
      end();
      if (isOpen && !this.gone) this.post({id, leave: true});
    }
  }

  /** Nothing is sent any more, and who waits is told why. */
  close(why: string): void {
    this.gone ??= new Error(`modelWorker: ${why}`);
    for (const {reject} of this.waiting.values()) reject(this.gone);
    this.waiting.clear();
  }

  private begin({signal, events}: CallOptions): number {
    signal?.throwIfAborted();
    const id = ++this.last;
    this.events.set(id, events);
    return id;
  }

  /** Passes an abort on. */
  private heed(id: number, signal: AbortSignal | undefined): () => void {
    const abort = () => this.gone ?? this.post({id, abort: true});
    signal?.addEventListener('abort', abort);
    return () => {
      signal?.removeEventListener('abort', abort);
      this.events.delete(id);
    };
  }

  private async ask(request: Request, {signal, transfer}: CallOptions): Promise<unknown> {
    try {
      return await new Promise((resolve, reject) => {
        this.waiting.set(request.id, {resolve, reject});
        this.post(request, transfer);
      });
    } catch (error) {
      // What ended it is what the caller aborted with.
      if ((error as Error).name === 'AbortError') signal?.throwIfAborted();
      throw error;
    }
  }

  private post(request: Request, transfer: ArrayBuffer[] = []): void {
    if (this.gone) throw this.gone;
    this.port.postMessage(request, transfer);
  }

  private take(answer: Answer): void {
    if ('event' in answer) {
      this.events.get(answer.id)?.[answer.event]?.(answer.detail as never);
      return;
    }
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ('value' in answer) waiting?.resolve(answer.value);
    else waiting?.reject(Object.assign(new Error(answer.error.message), {name: answer.error.name}));
  }
}
