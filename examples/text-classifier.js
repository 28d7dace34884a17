/**
 * A text classifier: is it a question about food or about the weather? Texts have different lengths and are padded on the right with 0; the
 * embedding makes a mask of that, which the Mamba heeds, and `lastToken` takes what the last real token knows.
 */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {adamW, layers, warmupCosine} from 'tfjs-mamba';

await tf.setBackend('wasm');

const subjects = [
  ['bread', 'soup', 'cheese', 'rice', 'an apple', 'some fish'],
  ['rain', 'snow', 'wind', 'sunshine', 'a storm', 'some fog'],
];
const forms = [
  'is there $ today',
  'will we have $',
  'do you like $ at noon',
  'they say that $ comes tomorrow, is it so',
  '$',
];
const texts = subjects.flatMap((words, label) =>
  words.flatMap((word) => forms.map((form) => [form.replace('$', word), label])),
);

const LENGTH = 48;
/** Characters as ids from 1 on; 0 is padding. */
const encode = (text) => Array.from({length: LENGTH}, (_, i) => (i < text.length ? text.charCodeAt(i) - 31 : 0));
const x = tf.tensor2d(texts.map(([text]) => encode(text)), [texts.length, LENGTH], 'float32'); // prettier-ignore
const y = tf.tensor2d(texts.map(([, label]) => [label]));

const model = tf.sequential({
  layers: [
    tf.layers.embedding({
      ...{inputDim: 96, outputDim: 16, maskZero: true, inputLength: LENGTH},
      embeddingsInitializer: tf.initializers.randomNormal({stddev: 0.5, seed: 2}),
    }),
    layers.mambaBlock({dState: 8, seed: 2}),
    layers.rmsNormalization(),
    layers.lastToken(),
    tf.layers.dense({units: 1, activation: 'sigmoid', kernelInitializer: tf.initializers.glorotNormal({seed: 3})}),
  ],
});
const learningRate = warmupCosine({peak: 0.015, warmupSteps: 4, totalSteps: 96}); // 24 epochs of 4 batches
model.compile({optimizer: adamW({learningRate}), loss: 'binaryCrossentropy', metrics: ['accuracy']});
const {history} = await model.fit(x, y, {epochs: 24, batchSize: 15, shuffle: false, verbose: 0});
console.log(`accuracy ${history.acc.at(-1).toFixed(3)}`);

const ask = (text) => tf.tidy(() => model.predict(tf.tensor2d([encode(text)])).dataSync()[0]);
console.log(`food ${ask('will there be soup').toFixed(2)}, weather ${ask('will there be snow').toFixed(2)}`);
