/** One layer and the kernels of one backend: what a page that counts bytes takes. */
import * as tf from '@tensorflow/tfjs';
import {mambaBlock} from 'tfjs-mamba/layers';
import 'tfjs-mamba/backends/webgl/mamba';

await tf.setBackend('webgl');
// Each step of the answer is the running mean of what came so far.
const x = tf.randomNormal([32, 12, 2], 0, 1, 'float32', 3);
const y = tf.tidy(() => x.cumsum(1).div(tf.range(1, 13).reshape([1, 12, 1])));
const model = tf.sequential({
  layers: [
    tf.layers.dense({units: 8, inputShape: [12, 2]}),
    mambaBlock({dState: 4, seed: 1}),
    tf.layers.dense({units: 2}),
  ],
});
model.compile({optimizer: tf.train.adam(0.02), loss: 'meanSquaredError'});
const {history} = await model.fit(x, y, {epochs: 15, batchSize: 16});
const [first, last] = [history.loss[0], history.loss.at(-1)];
document.querySelector('#result').textContent = `The error fell from ${first.toFixed(3)} to ${last.toFixed(3)}.`;
