/**
 * `node --import tsx bench/trainStep.ts <rows> <length> <steps> [checkpoint|lora|dora|qlora <folder>]`: a training step of the 130m shape on
 * TensorFlow, float32, AdamW, with `gradCheckpoint` or of an adapter alone if it says so, over the 8-bit weights of the model in a folder;
 * prints what peers/torch_train.py does. A process of its own, since its peak is the process's.
 */
import * as tf from '@tensorflow/tfjs';
import type {Batch} from '../src/node';
import {adamW, addAdapter, fromPretrained, mambaLM, trainer} from '../src/node';
import {startBackend} from '../test/support/backend';

const [rows, length, steps] = process.argv.slice(2, 5).map(Number);
await startBackend('tensorflow');
const [kind, folder] = process.argv.slice(5);
const model =
  kind === 'qlora'
    ? await fromPretrained(folder, {weights: 'int8'})
    : mambaLM({vocabSize: 50280, dModel: 768, nLayer: 24}, {seed: 1});
if (['lora', 'dora', 'qlora'].includes(kind)) addAdapter(model, {dora: kind === 'dora'});
const training = trainer(model, {
  optimizer: adamW({learningRate: 1e-5}),
  gradCheckpoint: kind === 'checkpoint',
});
const tokens = {
  iterator: async () => ({
    next: async (): Promise<IteratorResult<Batch>> => {
      const ids = (seed: number) => tf.randomUniform<tf.Rank.R2>([rows, length], 0, 50277, 'int32', seed);
      return {done: false, value: {xs: ids(1), ys: ids(2)}};
    },
  }),
};
const times: Array<{seconds: number; cpu: number}> = [];
for (let step = 1; step <= steps; step++) {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await training.fit(tokens, {steps: step, verbose: 0});
  const {user, system} = process.cpuUsage(before);
  times.push({seconds: (performance.now() - start) / 1e3, cpu: (user + system) / 1e6});
}
const least = (name: 'seconds' | 'cpu') => Math.min(...times.map((time) => time[name]));
const peak = 1024 * process.resourceUsage().maxRSS;
console.log(JSON.stringify({seconds: least('seconds'), cpu: least('cpu'), peak}));
