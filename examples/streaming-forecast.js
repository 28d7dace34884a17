/**
 * The next value of a series that comes value by value. Trained on windows, then run as a stream: the same weights in a stateful layer,
 * which takes one value at a time at constant cost, and gives what a pass over the whole series would give.
 */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {adamW, layers} from 'tfjs-mamba';

await tf.setBackend('wasm');

const WIDTH = 12;
/** @param {boolean} stateful Whether it goes on where the last call ended, one value at a time. */
const make = (stateful) =>
  tf.sequential({
    layers: [
      tf.layers.dense({units: WIDTH, batchInputShape: stateful ? [1, 1, 1] : [null, null, 1]}),
      layers.mamba({dState: 8, seed: 1, stateful}),
      tf.layers.dense({units: 1}),
    ],
  });

/** Two waves whose sum repeats only after long. */
const series = Array.from({length: 600}, (_, t) => 0.6 * Math.sin(t / 4) + 0.4 * Math.sin(t / 2.6));
const LENGTH = 48;
const windows = Array.from({length: 40}, (_, i) => series.slice(i * 10, i * 10 + LENGTH + 1).map((value) => [value]));
const x = tf.tensor3d(windows.map((window) => window.slice(0, -1)));
const y = tf.tensor3d(windows.map((window) => window.slice(1)));

const model = make(false);
model.compile({optimizer: adamW({learningRate: 0.01}), loss: 'meanSquaredError'});
await model.fit(x, y, {epochs: 40, batchSize: 8, verbose: 0});

const stream = make(true);
stream.setWeights(model.getWeights());
let squares = 0;
for (let t = 450; t < 599; t++) {
  const forecast = tf.tidy(() => stream.predict(tf.tensor3d([[[series[t]]]])).dataSync()[0]);
  if (t >= 470) squares += (forecast - series[t + 1]) ** 2;
}
const naive = series.slice(470, 599).reduce((sum, value, i) => sum + (series[471 + i] - value) ** 2, 0);
console.log(`error ${(squares / naive).toFixed(3)} times that of saying “as now”`);
