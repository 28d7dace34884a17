/**
 * A worker to whose cluster something happens, and that prints how long it took to notice and with what error. Argument `together`: calls
 * until one fails; `differently`: calls with a shape that no other rank has.
 */
import * as tf from '@tensorflow/tfjs';
import {joinCluster} from '../../src/node';

export interface Trouble {
  /** Of the call that failed, of the next one, and of leaving. */
  messages: string[];
  /** Seconds that the failing call took. */
  seconds: number;
}

const [kind, timeoutSeconds, patienceSeconds] = process.argv.slice(2);
const messages: string[] = [];
const keep = (error: Error) => void messages.push(error.message);
let start = performance.now();
try {
  const cluster = await joinCluster({
    timeoutSeconds: Number(timeoutSeconds),
    patienceSeconds: Number(patienceSeconds),
  });
  const x = tf.zeros([kind === 'differently' ? 1 + cluster.rank : 1000]);
  process.stdout.write('ready\n');
  try {
    for (;;) {
      start = performance.now();
      tf.dispose(await cluster.allReduce(x));
    }
  } catch (error) {
    keep(error as Error);
  }
  await cluster.allReduce(x).catch(keep);
  await cluster.leave().catch(keep);
} catch (error) {
  keep(error as Error);
}
const found: Trouble = {messages, seconds: (performance.now() - start) / 1000};
process.stdout.write(`${JSON.stringify(found)}\n`);
