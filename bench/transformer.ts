/**
 * `bench -- transformer`: tokens a second that Mamba and a Transformer with a KV cache write, of equal parameters, behind a prompt of 2,048
 * tokens, 128 new ones (or as many as 15 seconds give), batch 1 to 64 (32 on wasm, whose memory ends at 4 GB); and what each holds for it (the paper's figure 8). The two take turns, so that both meet the same
 * machine.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, MambaLM, MambaState} from '../src/node';
import {mambaLM} from '../src/node';
import {baselineConfig} from '../models/baselines';
import type {Figures} from './results';
import {saveResults} from './results';
import {printTable} from './timing';

const sizes = {vocabSize: 256, dModel: 256, nLayer: 4};

/** Tokens of the prompt, new tokens, turns of which the better one counts. */
const [prompt, count, rounds] = [2048, 128, 2];

/** A batch is given up after so long; the rate is that of the tokens until then. */
const mostSeconds = 15;

interface Written {
  tokensPerSecond: number;
  /** The same of a second of the processors, which other work on the machine does not take away. */
  tokensPerProcessorSecond: number;
  /** What is carried from token to token, at the end. */
  stateMB: number;
}

/** Reads the prompt once: what a row costs does not depend on what it says, so its state will stand for every row of a batch. */
async function readPrompt(model: MambaLM): Promise<{state: MambaState; seconds: number}> {
  const ids = tf.randomUniformInt([1, prompt], 0, sizes.vocabSize, 1);
  const start = performance.now();
  const {logits, state} = model.prefill(ids);
  await logits.data();
  const seconds = (performance.now() - start) / 1e3;
  tf.dispose([ids, logits]);
  return {state, seconds};
}

/** Writes up to so many tokens a row, always the likeliest. */
async function write(model: MambaLM, ofOne: MambaState, batch: number): Promise<Written> {
  let state = tf.tidy(() => ofOne.map((part) => repeat(part, batch)) as unknown as MambaState);
  let last: number[] = new Array<number>(batch).fill(1);
  let steps = 0;
  const start = performance.now();
  const used = process.cpuUsage();
  const seconds = () => (performance.now() - start) / 1e3;
  while (steps < count && (steps < 2 || seconds() < mostSeconds)) {
    const next = model.step(last, state);
    const choice = tf.tidy(() => next.logits.argMax(-1));
    last = [...(await choice.data())];
    tf.dispose([state, choice, next.logits]);
    state = next.state;
    steps++;
  }
  const tokensPerSecond = (batch * steps) / seconds();
  const {user, system} = process.cpuUsage(used);
  const tokensPerProcessorSecond = (batch * steps) / ((user + system) / 1e6);
  const parts = state.flatMap((part) => Object.values(part as Record<string, tf.Tensor>));
  const stateMB = parts.reduce((sum, {size}) => sum + 4 * size, 0) / 1e6;
  tf.dispose(state);
  return {tokensPerSecond, tokensPerProcessorSecond, stateMB};
}

function repeat(part: MambaState[number], batch: number): Record<string, tf.Tensor> {
  const repeated = (t: tf.Tensor) => t.tile([batch, ...t.shape.slice(1).map(() => 1)]);
  return Object.fromEntries(Object.entries(part as Record<string, tf.Tensor>).map(([name, t]) => [name, repeated(t)]));
}

export async function benchTransformer(): Promise<void> {
  const configs: Record<string, MambaConfig> = {mamba: sizes, transformer: baselineConfig('transformer', sizes)};
  const models = [];
  const findings: Record<string, number> = {};
  for (const [name, config] of Object.entries(configs)) {
    const model = mambaLM(config, {seed: 1});
    const {state, seconds} = await readPrompt(model);
    findings[`seconds to read the prompt, ${name}`] = seconds;
    models.push({name, model, state});
  }
  console.log(
    models.map(({name, model}) => `${name} ${model.countParams().toLocaleString('en')}`).join(', '),
    'parameters',
  );
  const figures: Figures = [];
  const rate = tf.getBackend() === 'webgpu' ? 'tokensPerSecond' : 'tokensPerProcessorSecond';
  const unit = rate === 'tokensPerSecond' ? 'tokens a second' : 'tokens a second of the processors';
  const table: Array<Array<string | number>> = [[unit, 'Mamba', 'Transformer', 'ratio', 'MB', 'MB ']];
  const largest = tf.getBackend() === 'wasm' ? 32 : 64;
  for (let batch = 1; batch <= largest; batch *= 2) {
    const best = new Map<string, Written>();
    for (let round = 0; round < rounds; round++) {
      for (const {name, model, state} of models) {
        const written = await write(model, state, batch);
        const before = best.get(name);
        if (!before || written[rate] > before[rate]) best.set(name, written);
      }
    }
    for (const [name, written] of best) figures.push({name, batch, prompt, count, ...written});
    const [mamba, transformer] = models.map(({name}) => best.get(name)!);
    const ratio = mamba[rate] / transformer[rate];
    findings[`ratio at batch ${batch}`] = ratio;
    console.log(`batch ${batch}: ${ratio.toFixed(1)} times`);
    table.push([`batch ${batch}`, mamba[rate], transformer[rate], ratio, mamba.stateMB, transformer.stateMB]);
  }
  printTable(table);
  saveResults(`transformer-${tf.getBackend()}`, figures, findings);
}
