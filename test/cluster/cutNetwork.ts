/** A worker of cutNetwork.sh: calls and calls, and tells how long the call took that failed. */
import * as tf from '@tensorflow/tfjs';
import {setTimeout} from 'node:timers/promises';
import {joinCluster} from '../../src/node';

const cluster = await joinCluster({timeoutSeconds: 20, patienceSeconds: 120});
const x = tf.ones([1000]);
process.stdout.write('ready\n');
for (;;) {
  const start = performance.now();
  try {
    tf.dispose(await cluster.allReduce(x));
  } catch (error) {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stdout.write(`error after ${seconds} s: ${(error as Error).message}\n`);
    break;
  }
  process.stdout.write(`call of ${(performance.now() - start).toFixed(0)} ms\n`);
  await setTimeout(100);
}
process.exit(0); // TensorFlow's server would wait for peers that it cannot reach
