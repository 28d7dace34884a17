/** The same library asked for by two copies of the package's code, as two versions of a dependency would. */
import * as tf from '@tensorflow/tfjs';
import {loadNative} from '../../src/backends/nodeNative';
import type * as Node from '../../src/node';
import {selectiveScan} from '../../src/node';

const first = loadNative();
const again = new URL('../../src/node.ts?again', import.meta.url);
const second = (await import(again.href)) as typeof Node;
await tf.setBackend('tensorflow');
if (!first.loader) throw new Error(first.hint);

/** y = u + h with h held: 4, then 5. */
const call = (scan: typeof selectiveScan) => {
  const one = tf.ones<tf.Rank.R2>([1, 1]);
  const {y} = scan({
    u: tf.tensor3d([2, 1], [1, 2, 1]),
    delta: tf.ones([1, 2, 1]),
    A: tf.zeros([1, 1]),
    B: one,
    C: one,
    D: tf.ones([1]),
  });
  return [y.dataSync()[0], y.dataSync()[1] + 1];
};
console.log(JSON.stringify({first: call(selectiveScan), second: call(second.selectiveScan)}));
