/** Which kind of curve is it: a sine, a square or a saw? A Mamba that reads both ways, in a sequential model. */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {adamW, layers} from 'tfjs-mamba';

await tf.setBackend('wasm');

const kinds = [
  (phase) => Math.sin(2 * Math.PI * phase),
  (phase) => (phase % 1 < 0.5 ? 1 : -1),
  (phase) => 2 * (phase % 1) - 1,
];

/** Curves [count, 48, 1] of any frequency and phase, with noise, and the kind of each [count, 1]. */
function draw(count, seed) {
  const random = tf.tidy(() => tf.randomUniform([count, 2], 0, 1, 'float32', seed).arraySync());
  const noise = tf.tidy(() => tf.randomNormal([count, 48], 0, 0.2, 'float32', seed + 1).arraySync());
  const label = random.map((_, i) => [i % kinds.length]);
  const curve = random.map(([frequency, start], i) =>
    noise[i].map((error, t) => [kinds[i % kinds.length](start + (t * (1 + 2 * frequency)) / 24) + error]),
  );
  return {x: tf.tensor3d(curve), y: tf.tensor2d(label)};
}

const model = tf.sequential({
  layers: [
    tf.layers.dense({units: 12, inputShape: [48, 1]}),
    tf.layers.bidirectional({layer: layers.mamba({dState: 4, seed: 1}), mergeMode: 'sum'}),
    tf.layers.globalAveragePooling1d({}),
    tf.layers.dense({units: kinds.length, activation: 'softmax'}),
  ],
});
model.compile({
  optimizer: adamW({learningRate: 0.02}),
  loss: 'sparseCategoricalCrossentropy',
  metrics: ['accuracy'],
});
const [training, test] = [draw(240, 1), draw(120, 9)];
await model.fit(training.x, training.y, {epochs: 10, batchSize: 24, verbose: 0});
const [, accuracy] = model.evaluate(test.x, test.y);
console.log(`accuracy ${(await accuracy.data())[0].toFixed(3)} on curves it has not seen`);
