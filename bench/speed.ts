/**
 * `bench -- speed`: how fast a backend reads, writes and learns, for a model of a page's size, one of a few megabytes and a published one.
 * What README's "which backend, how large, how fast" says. On the processor it is processor time that counts, since a machine may do other
 * work; of more than one thread that is more than what passes on a quiet one.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, MambaLM} from '../src/node';
import {adamW, mambaLM} from '../src/node';
import {nextToken, stepGradients} from '../src/training/gradients';
import type {Figures} from './results';
import {saveResults} from './results';
import {printTable} from './timing';

interface Size {
  name: string;
  config: MambaConfig;
  /** Rows and tokens of a training step; none where it would take minutes. */
  training?: [rows: number, length: number];
}

const sizes: Size[] = [
  {name: 'small', config: {vocabSize: 65, dModel: 64, nLayer: 2}, training: [16, 96]},
  {name: 'writer', config: {vocabSize: 65, dModel: 192, nLayer: 7}, training: [8, 256]},
  {name: '130m', config: {vocabSize: 50280, dModel: 768, nLayer: 24}},
];

/** Tokens of the prompt. */
const prompt = 512;
const seconds = 3;

export async function benchSpeed(): Promise<void> {
  const figures: Figures = [];
  const table: Array<Array<string | number>> = [
    ['tokens a second', 'parameters', 'reading', 'writing', 'writing, 8 rows', 'learning'],
  ];
  for (const {name, config, training} of sizes) {
    const model = mambaLM(config, {seed: 1});
    const parameters = model.countParams();
    const reading = prompt / (await least(() => readPrompt(model)));
    const [writing, writing8] = [1 / (await writeSeconds(model, 1)), 8 / (await writeSeconds(model, 8))];
    const learning = training && (training[0] * training[1]) / (await learnSeconds(model, training));
    figures.push({name, parameters, reading, writing, writing8, learning});
    table.push([name, parameters.toLocaleString('en'), reading, writing, writing8, learning ?? '–']);
    console.log(table.at(-1)!.join('  '));
    model.dispose();
  }
  printTable(table);
  saveResults(`speed-${tf.getBackend()}`, figures, {});
}

const onGpu = () => ['webgpu', 'webgl'].includes(tf.getBackend());

/** The least seconds of the calls of some seconds, at least two, behind one that does not count. */
async function least(call: () => Promise<void>): Promise<number> {
  await call();
  let best = Infinity;
  const end = performance.now() + 1e3 * seconds;
  for (let i = 0; i < 2 || performance.now() < end; i++) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    await call();
    const {user, system} = process.cpuUsage(used);
    best = Math.min(best, onGpu() ? (performance.now() - start) / 1e3 : (user + system) / 1e6);
  }
  return best;
}

async function readPrompt(model: MambaLM): Promise<void> {
  const {logits, state} = model.prefill([new Array<number>(prompt).fill(1)]);
  await logits.data();
  tf.dispose([logits, state]);
}

/** Seconds of a token of each row, choice of the next included; in runs of sixteen, as a first step behind a pause is slow. */
async function writeSeconds(model: MambaLM, rows: number): Promise<number> {
  const count = 16;
  let state = model.zeroState(rows);
  const time = await least(async () => {
    let last = new Array<number>(rows).fill(1);
    for (let i = 0; i < count; i++) {
      const next = model.step(last, state);
      const choice = tf.tidy(() => next.logits.argMax(-1));
      last = [...(await choice.data())];
      tf.dispose([state, choice, next.logits]);
      state = next.state;
    }
  });
  tf.dispose(state);
  return time / count;
}

async function learnSeconds(model: MambaLM, shape: [number, number]): Promise<number> {
  const ids = tf.randomUniformInt(shape, 0, 65, 1);
  const optimizer = adamW({learningRate: 1e-3});
  const time = await least(async () => {
    const loss = tf.tidy(() => {
      const {loss, gradients} = stepGradients(model, [{xs: ids, ys: ids}], nextToken);
      optimizer.applyGradients(model.trainableWeights.map(({name}) => ({name, tensor: gradients[name]})));
      return loss;
    });
    await loss.data();
    loss.dispose();
  });
  optimizer.dispose();
  ids.dispose();
  return time;
}
