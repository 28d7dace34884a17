/**
 * Waiting until the servers of all workers are up, for Node. TensorFlow must not be the first to ask: a connection that is refused once
 * makes its next calls to that worker fail for seconds, and with them the group.
 */
import {connect} from 'node:net';
import {setTimeout} from 'node:timers/promises';

/** How errors name a worker. */
export function nameOf(address: string, rank: number): string {
  return `worker ${rank} (${address})`;
}

/**
 * Resolves when every address, `host:port`, accepts a connection.
 *
 * @throws Error naming those that have not in time, and what was in the way.
 */
export async function peersUp(addresses: readonly string[], seconds: number): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  const obstacles = await Promise.all(addresses.map((address) => comesUp(address, end)));
  const missing = addresses.flatMap((address, rank) =>
    obstacles[rank] === undefined
      ? []
      : [`${nameOf(address, rank)} did not come up within ${seconds} s: ${obstacles[rank]}`],
  );
  if (missing.length > 0) throw new Error(missing.join('; '));
}

/** Undefined once it accepts a connection; what it was that did not let it, when the time is over. */
async function comesUp(address: string, end: number): Promise<string | undefined> {
  let obstacle: string | undefined = 'no answer';
  for (let pause = 20; ; pause = Math.min(2 * pause, 500)) {
    const left = end - performance.now();
    if (left <= 0) return obstacle;
    obstacle = await tryConnection(address, left);
    if (obstacle === undefined) return undefined;
    await setTimeout(Math.min(pause, left));
  }
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
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(address)!;
  return new Promise((resolve) => {
    const socket = connect({host, port: Number(port), timeout: milliseconds});
    const finish = (obstacle?: string) => {
      socket.destroy();
      resolve(obstacle);
    };
    socket.once('connect', () => finish());
    socket.once('error', ({code, message}: NodeJS.ErrnoException) => finish(reasons[code ?? ''] ?? message));
    socket.once('timeout', () => finish('no answer'));
  });
}
