/** Which kind of curve is it: a sine, a square or a saw? A Mamba that reads both ways, in a sequential model, saved and loaded again. */
import {mkdtemp, readFile, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
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

// Without tfjs-node, which has a handler for `file://`: two files, as a page loads them by the URL of model.json.
const folder = await mkdtemp(join(tmpdir(), 'curves-'));
const toFolder = tf.io.withSaveHandler(async ({modelTopology, weightSpecs, weightData}) => {
  const weightsManifest = [{paths: ['weights.bin'], weights: weightSpecs}];
  await writeFile(join(folder, 'model.json'), JSON.stringify({modelTopology, weightsManifest}));
  await writeFile(join(folder, 'weights.bin'), new Uint8Array(weightData));
  return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
});
await model.save(toFolder);
const {modelTopology, weightsManifest} = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'));
const weightData = Uint8Array.from(await readFile(join(folder, 'weights.bin'))).buffer;
const artifacts = {modelTopology, weightSpecs: weightsManifest[0].weights, weightData};
const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifacts));

loaded.compile({loss: 'sparseCategoricalCrossentropy', optimizer: 'sgd', metrics: ['accuracy']});
const [, accuracy] = loaded.evaluate(test.x, test.y);
console.log(`accuracy ${(await accuracy.data())[0].toFixed(3)} on curves it has not seen`);
