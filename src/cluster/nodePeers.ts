/**
 * Waiting until the servers of all workers are up, for Node. TensorFlow must not be the first to ask: a connection that is refused once
 * makes its next calls to that worker fail for seconds, and with them the group.
 */
import {connect} from 'node:net';
import {clearInterval, setInterval} from 'node:timers';
import {setTimeout} from 'node:timers/promises';

/** How errors name a worker. */
export function nameOf(address: string, rank: number): string {
  return `worker ${rank} (${address})`;
}

/** The host of an address, an IPv6 one without its brackets, and the port. */
export function placeOf(address: string): {host: string; port: number} {
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(address)!;
  return {host, port: Number(port)};
}

/** Milliseconds after which a connection that is neither made nor refused is tried anew. */
const ATTEMPT = 5000;

/** Milliseconds that the server of a worker which fits no other stays, so that they hear of it too. */
const FAREWELL = 2000;

/** What peersUp does besides. */
export interface Meeting {
  /** Looks at who accepts the connection: gives what is in the way for now, and throws if it will always be. */
  meet?: (rank: number, milliseconds: number) => Promise<string | undefined>;
  /** Hears every `warnSeconds` of those that are not there yet. */
  warn?: (text: string) => void;
  warnSeconds?: number;
}

/**
 * Resolves when every address, `host:port`, accepts a connection.
 *
 * @throws Error naming those that have not in time, and what was in the way; or what `meet` throws, soon.
 */
export async function peersUp(
  addresses: readonly string[],
  seconds: number,
  {meet, warn, warnSeconds = 30}: Meeting = {},
): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  const over = new AbortController();
  // Of all that are not there yet.
  const obstacles = new Map(addresses.map((_, rank) => [rank, 'no answer']));
  const missing = (text: string) =>
    [...obstacles].map(([rank, obstacle]) => `${nameOf(addresses[rank], rank)} ${text}: ${obstacle}`).join('; ');
  const tell = () => {
    const left = Math.max(0, Math.round((end - performance.now()) / 1000));
    warn?.(`${missing('is not there yet')}. Waiting ${left} s more; all must be given the same list of addresses`);
  };
  const warning = setInterval(tell, 1000 * warnSeconds);
  const comesUp = async (address: string, rank: number) => {
    for (let pause = 20; ; pause = Math.min(2 * pause, 500)) {
      const left = end - performance.now();
      if (left <= 0 || over.signal.aborted) return;
      const limit = Math.min(left, ATTEMPT);
      const obstacle = (await tryConnection(address, limit)) ?? (await meet?.(rank, limit));
      if (obstacle === undefined) return void obstacles.delete(rank);
      obstacles.set(rank, obstacle);
      await setTimeout(Math.min(pause, left));
    }
  };
  try {
    await Promise.all(addresses.map(comesUp));
  } catch (error) {
    over.abort();
    await setTimeout(FAREWELL);
    throw error;
  } finally {
    clearInterval(warning);
  }
  if (obstacles.size > 0) throw new Error(missing(`did not come up within ${seconds} s`));
}

/** A host may be unknown only for now, as pods are to each other at first. */
const reasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host is unknown',
  EAI_AGAIN: 'the host is unknown',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the host',
};

function tryConnection(address: string, milliseconds: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({...placeOf(address), timeout: milliseconds});
    const finish = (obstacle?: string) => {
      socket.destroy();
      resolve(obstacle);
    };
    socket.once('connect', () => finish());
    socket.once('error', ({code, message}: NodeJS.ErrnoException) => finish(reasons[code ?? ''] ?? message));
    socket.once('timeout', () => finish('no answer'));
  });
}
