/** The worker's end: runs what it is asked for, and answers. It knows nothing of models. */
import {buffersOf, isOurs, type Answer, type Port, type Request} from './messages';

/** What a method is given besides its arguments. */
export interface Context {
  /** Aborted when the page has ended the call. */
  signal: AbortSignal;
  /** Tells the page of something. */
  emit(event: string, detail: unknown): void;
}

/** A method returns a value, a promise of one, or a stream. */
export type Methods = Record<string, (context: Context, ...args: never[]) => unknown>;

interface Running {
  controller: AbortController;
  stream?: AsyncGenerator<unknown>;
}

/** Answers what comes through the port: from now on, though nothing is done before `ready`. */
export function answer(port: Port, methods: Methods, ready: Promise<unknown> = Promise.resolve()): void {
  const running = new Map<number, Running>();
  const send = (message: Answer) =>
    port.postMessage(message, buffersOf('value' in message ? message.value : undefined));
  const reply = async (id: number, work: () => unknown) => {
    try {
      send({id, value: await work()});
    } catch (error) {
      const {name = 'Error', message = String(error)} = (error ?? {}) as Partial<Error>;
      send({id, error: {name, message}});
    }
  };
  const begin = ({id, method, args, isStream}: Extract<Request, {method: string}>) => {
    const controller = new AbortController();
    const entry: Running = {controller};
    running.set(id, entry);
    const run = () => {
      if (!Object.hasOwn(methods, method))
        throw new Error(`modelWorker: the worker has no ${method}; is it of this version?`);
      const context = {signal: controller.signal, emit: (event: string, detail: unknown) => send({id, event, detail})};
      return methods[method](context, ...(args as never[]));
    };
    // What it throws at once is answered when the first item is asked for.
    if (isStream) entry.stream = once(run);
    else void reply(id, run).finally(() => running.delete(id));
  };
  const take = (request: Request) => {
    if ('method' in request) return begin(request);
    const {id} = request;
    const {stream, controller} = running.get(id) ?? {};
    if ('abort' in request) {
      controller?.abort();
    } else if ('leave' in request) {
      controller?.abort();
      running.delete(id);
      // Waits until the item at hand is there.
      stream?.return(undefined).catch(() => {});
    } else {
      void reply(id, async () => {
        const item = (await stream?.next()) ?? {done: true, value: undefined};
        if (item.done) running.delete(id);
        return item;
      });
    }
  };
  port.addEventListener('message', (event) => {
    const {data} = event as MessageEvent<Request>;
    if (isOurs(data)) void ready.then(() => take(data));
  });
}

async function* once(run: () => unknown): AsyncGenerator<unknown> {
  yield* run() as AsyncGenerator<unknown>;
}
