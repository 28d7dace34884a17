/**
 * `bench -- lm`: a whole language model on TensorFlow, beside Hugging Face's on PyTorch and llama.cpp where peers/README.md was followed:
 * prefill of 256 tokens and greedy decoding, float32, the same random weights and the same prompt, the tokens they choose checked equal. A
 * prefill's rate is the best of several runs, decoding's that of the median token and of the best; each has two turns, the others one with
 * one thread and one with all.
 */
import {mkdtempSync, rmSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, MambaLM, PresetName} from '../src/node';
import {backendInfo, mambaLM, savePretrained} from '../src/node';
import type {Machine} from './machine';
import {measureMachine, output} from './machine';
import {isInstalled, ofPeer, peerLlama, peerPython} from './peers/peers';
import {bestTime, printTable, run, timeGreedy} from './timing';

export const models: Record<string, {config: MambaConfig; newTokens: number}> = {
  'mamba-130m shape': {config: {vocabSize: 50280, dModel: 768, nLayer: 24}, newTokens: 192},
  'small: 4 layers, 256 wide': {config: {vocabSize: 256, dModel: 256, nLayer: 4}, newTokens: 512},
};

/** Tokens a second, and what greedy decoding chose. */
interface Measured {
  prefill: number;
  /** By the median token. */
  decode: number;
  best?: number;
  tokens: number[];
}

/**
 * A random model that says something: fresh weights repeat the last token, as every block adds little to the embedding that is also
 * the head. With what the blocks add made larger, tokens vary.
 */
export function makeModel(config: MambaConfig | PresetName): MambaLM {
  const model = mambaLM(config, {seed: 1});
  tf.tidy(() => {
    for (const [name, weight] of model.weightsByName()) {
      if (name.endsWith('outProj/kernel')) weight.write(weight.read().mul(OUT_PROJ_GAIN));
    }
  });
  return model;
}
const OUT_PROJ_GAIN = 16;

async function measureOurs(model: MambaLM, prompt: number[], count: number): Promise<Required<Measured>> {
  const prefillMs = bestTime(
    run(() => model.prefill([prompt]).logits),
    3000,
  );
  return {prefill: (1e3 * prompt.length) / prefillMs, ...(await timeGreedy(model, prompt, count))};
}

/** The others, on the same weights. */
async function measurePeers(model: MambaLM, prompt: number[], count: number): Promise<[string, Measured][]> {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  const threads = [1, availableParallelism()].join();
  const given = [prompt.join(), String(count), threads];
  const peer = (name: string) => join(import.meta.dirname, 'peers', name);
  const measured: [string, Measured][] = [];
  const add = (name: string, command: string, args: () => string[]) => {
    const result = ofPeer(name, () => JSON.parse(output(command, args())) as Measured);
    if (result) measured.push([name, result]);
  };
  try {
    if (!isInstalled('Hugging Face on PyTorch', peerPython)) return [];
    await savePretrained(model, folder);
    add('Hugging Face, PyTorch', peerPython, () => [peer('torch_lm.py'), folder, ...given]);
    if (isInstalled('llama.cpp', peerLlama)) {
      add('llama.cpp', process.execPath, () => {
        const file = join(folder, 'model.gguf');
        output(peerPython, [peer('gguf_file.py'), folder, file]);
        return ['--import', 'tsx', peer('llama.ts'), file, ...given];
      });
    }
    return measured;
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/**
 * Decoding reads every weight once, the embedding as the head; at batch 1 the rest is nothing beside it. Of the measurements of the
 * memory, which other work on the machine holds up too, the best counts.
 */
function printFloor(model: MambaLM, decode: number, machines: Machine[]): void {
  if (machines.length === 0) return;
  const bytes = 4 * model.countParams();
  const floor = bytes / Math.max(...machines.map(({read}) => read));
  console.log(
    `decode: ${(1 / decode / floor).toFixed(2)} times the ${(1e3 * floor).toFixed(2)} ms that reading the weights takes ` +
      `(${(bytes / 1e6).toFixed(0)} MB)`,
  );
}

async function benchModel(name: string): Promise<void> {
  const {config, newTokens} = models[name];
  console.log(`\n${name}, float32`);
  const model = makeModel(config);
  const prompt = Array.from({length: 256}, (_, i) => (i * i * 7 + 11) % config.vocabSize);
  const machines = [measureMachine()];
  const before = await measureOurs(model, prompt, newTokens);
  const peers = await measurePeers(model, prompt, newTokens);
  const after = await measureOurs(model, prompt, newTokens); // again, as the others have two turns too
  machines.push(measureMachine());
  const ours = {
    prefill: Math.max(before.prefill, after.prefill),
    decode: Math.max(before.decode, after.decode),
    best: Math.max(before.best, after.best),
    tokens: before.tokens,
  };
  printTable([
    ['tokens a second', 'prefill 256', 'ratio', 'decode', 'ratio', 'best token', 'ratio', 'same tokens'],
    ['this package', ours.prefill, 1, ours.decode, 1, ours.best, 1, ''],
    ...peers.map(([peer, {prefill, decode, best = NaN, tokens}]) => {
      const differs = tokens.findIndex((id, i) => id !== ours.tokens[i]);
      const same = differs < 0 ? tokens.length : differs;
      const ratios = [prefill, ours.prefill / prefill, decode, ours.decode / decode, best, ours.best / best];
      return [peer, ...ratios, `${same} of ${ours.tokens.length}`];
    }),
  ]);
  console.log(`${new Set(ours.tokens).size} different tokens among ${ours.tokens.length}`);
  printFloor(
    model,
    ours.decode,
    machines.filter((machine) => machine !== undefined),
  );
  model.dispose();
}

export async function benchLM(): Promise<void> {
  console.log(JSON.stringify({...backendInfo(), nativeKernels: undefined}));
  for (const name of Object.keys(models)) await benchModel(name);
}
