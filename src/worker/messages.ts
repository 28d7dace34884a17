/**
 * What a page and its worker say to each other. Calls have a number, by which answers find them; what a call returns is an answer, or a
 * stream whose items are asked for one by one, so that nothing piles up. A library for this (Comlink) would need as much code again
 * for streams, aborting and events, which are most of what there is to say.
 */

/** From the page. */
export type Request =
  /** Runs a method; `isStream` if its items will be asked for. */
  | {id: number; method: string; args: unknown[]; isStream: boolean}
  /** Asks for the next item of a stream. */
  | {id: number; next: true}
  /** Aborts the signal of a call, which then ends as it does. */
  | {id: number; abort: true}
  /** Nobody asks for a further item of a stream. */
  | {id: number; leave: true};

/** From the worker. */
export type Answer =
  /** What a call returned, or the next item of a stream. */
  | {id: number; value: unknown}
  | {id: number; error: {name: string; message: string}}
  /** Something that happens while a call is at work: what a callback is to be told. */
  | {id: number; event: string; detail: unknown};

/** The ends of a connection that are used here: a worker, what a worker calls `self`, or a port. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: 'message' | 'messageerror' | 'error', listener: (event: Event) => void): void;
}

/** Whether a message is one of these: a program may have messages of its own beside them. */
export function isOurs(message: unknown): boolean {
  return typeof (message as {id?: unknown} | null | undefined)?.id === 'number';
}

/** The buffers of bytes in a value, which are handed over and not copied. */
export function buffersOf(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  if (Object.getPrototypeOf(value ?? 0) !== Object.prototype) return [];
  return Object.values(value as object).flatMap(buffersOf);
}
