/**
 * `bench -- packed`: greedy decoding with matrices of 8 bits, and of 16 where the backend has them, beside the same model in float32 and llama.cpp
 * in q8_0 where peers/README.md was followed, in turns; how far the logits are off; and with `--model FOLDER`, a trained character model such as
 * runs/shakespeare, its perplexity in each form. Random weights but for that.
 */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type {MambaLM, PresetName} from '../src/node';
import {crossEntropy, fromPretrained, savePretrained} from '../src/node';
import {hasHalves} from '../src/ops/halves/has';
import {makeModel} from './lm';
import {output} from './machine';
import {isInstalled, ofPeer, peerLlama, peerPython} from './peers/peers';
import type {Greedy} from './timing';
import {printTable, timeGreedy} from './timing';

const TOKENS = 32;
const TURNS = 3;
const prompt = Array.from({length: 64}, (_, i) => i + 1);

type Form = 'float32' | 'bfloat16' | 'int8';
const forms = (): Form[] => (hasHalves() ? ['float32', 'bfloat16', 'int8'] : ['float32', 'int8']);

export async function benchPacked(preset = 'mamba-130m', trained?: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  try {
    const model = makeModel(preset as PresetName);
    await savePretrained(model, folder);
    model.dispose();
    await compareSpeed(folder, preset);
  } finally {
    rmSync(folder, {recursive: true});
  }
  if (trained !== undefined) await comparePerplexity(trained);
}

async function compareSpeed(folder: string, preset: string): Promise<void> {
  const models: Array<[Form, MambaLM, bytes: number]> = [];
  for (const weights of forms()) {
    const before = tf.memory().numBytes;
    const model = await fromPretrained(folder, {weights});
    models.push([weights, model, tf.memory().numBytes - before]);
  }
  const llama = llamaTurn(folder);
  const measured = new Map<string, Greedy[]>();
  const add = (name: string, turn: Greedy | undefined) =>
    turn && measured.set(name, [...(measured.get(name) ?? []), turn]);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [form, model] of models) add(form, await timeGreedy(model, prompt, TOKENS));
    add('llama.cpp q8_0', llama?.());
  }
  const most = (name: string, what: 'decode' | 'best') => Math.max(...measured.get(name)!.map((turn) => turn[what]));
  console.log(`\n${preset} on ${tf.getBackend()}, greedy, ${TURNS} turns of ${TOKENS} tokens`);
  printTable([
    ['', 'MB', 'median token, 1/s', 'of float32', 'best token, 1/s', 'of float32', 'logits off by'],
    ...[...measured.keys()].map((name) => {
      const model = models.find(([form]) => form === name);
      const rates = (['decode', 'best'] as const).flatMap((what) => [
        most(name, what),
        most(name, what) / most('float32', what),
      ]);
      return [
        name,
        model ? model[2] / 1e6 : '',
        ...rates,
        model ? distance(models[0][1], model[1]).toExponential(1) : '',
      ];
    }),
  ]);
  const ratio = (what: 'decode' | 'best') => (most('int8', what) / most('llama.cpp q8_0', what)).toFixed(2);
  if (llama)
    console.log(
      `int8 is ${ratio('decode')} times as fast as llama.cpp by the median token, ${ratio('best')} by the best`,
    );
  models.forEach(([, model]) => model.dispose());
}

/** The largest difference of logits over the largest logit, after the prompt and then each of its tokens by a step. */
function distance(floats: MambaLM, other: MambaLM): number {
  const logits = (model: MambaLM) =>
    tf.tidy(() => {
      let {logits, state} = model.prefill([prompt]);
      const all = [logits];
      for (const id of prompt.slice(0, 8)) {
        ({logits, state} = model.step([id], state));
        all.push(logits);
      }
      return tf.concat(all).dataSync<'float32'>();
    });
  const [a, b] = [logits(floats), logits(other)];
  const largest = a.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  return a.reduce((max, x, i) => Math.max(max, Math.abs(x - b[i])), 0) / largest;
}

/** Decodes with llama.cpp, in a process of its own. */
function llamaTurn(folder: string): (() => Greedy | undefined) | undefined {
  if (!isInstalled('llama.cpp', peerLlama) || !isInstalled('gguf', peerPython)) return undefined;
  const peer = (name: string) => join(import.meta.dirname, 'peers', name);
  const file = join(folder, 'q8_0.gguf');
  if (ofPeer('gguf', () => output(peerPython, [peer('gguf_file.py'), folder, file, 'q8_0'])) === undefined)
    return undefined;
  return () =>
    ofPeer('llama.cpp', () => {
      const args = [file, prompt.join(), String(TOKENS), String(availableParallelism())];
      return JSON.parse(output(process.execPath, ['--import', 'tsx', peer('llama.ts'), ...args])) as Greedy;
    });
}

/** Of the end of the text that the model was not trained on, in windows. */
async function comparePerplexity(folder: string): Promise<void> {
  const [BATCH, LENGTH, BATCHES] = [8, 256, 12];
  const text = readFileSync(join(import.meta.dirname, '../models/data/tinyshakespeare.txt'), 'utf8');
  let floats: number | undefined;
  for (const weights of forms()) {
    const model = await fromPretrained(folder, {weights});
    if (!model.tokenizer) throw new Error(`${folder} has no tokenizer`);
    const ids = Array.from(model.tokenizer.encode(text.slice(-BATCH * LENGTH * BATCHES * 2)));
    let sum = 0;
    for (let i = 0; i < BATCHES; i++) {
      const windows = Array.from({length: BATCH}, (_, row) => {
        const start = (i * BATCH + row) * LENGTH;
        return ids.slice(start, start + LENGTH + 1);
      });
      sum += tf.tidy(() => {
        const inputs = tf.tensor2d(
          windows.map((window) => window.slice(0, -1)),
          undefined,
          'int32',
        );
        const labels = tf.tensor2d(
          windows.map((window) => window.slice(1)),
          undefined,
          'int32',
        );
        return crossEntropy({logits: model.apply(inputs) as tf.Tensor, labels}).dataSync<'float32'>()[0];
      });
    }
    const perplexity = Math.exp(sum / BATCHES);
    floats ??= perplexity;
    console.log(
      `perplexity in ${weights}: ${perplexity.toFixed(4)}, ${(100 * (perplexity / floats - 1)).toFixed(3)} % from float32`,
    );
    model.dispose();
  }
}
