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
 * @throws Error naming those that have not in time.
 */
export async function peersUp(addresses: readonly string[], seconds: number): Promise<void> {
  const end = performance.now() + 1000 * seconds;
  const reached = await Promise.all(addresses.map((address) => comesUp(address, end)));
  const missing = addresses.map(nameOf).filter((_, rank) => !reached[rank]);
  if (missing.length > 0) throw new Error(`${missing.join(', ')} did not come up within ${seconds} s`);
}

async function comesUp(address: string, end: number): Promise<boolean> {
  for (let pause = 20; ; pause = Math.min(2 * pause, 500)) {
    const left = end - performance.now();
    if (left <= 0) return false;
    if (await accepts(address, left)) return true;
    await setTimeout(Math.min(pause, left));
  }
}

function accepts(address: string, milliseconds: number): Promise<boolean> {
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(address)!;
  return new Promise((resolve) => {
    const socket = connect({host, port: Number(port), timeout: milliseconds});
    const finish = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
  });
}
