/**
 * The main job, `npm start`: a small character model learns Tiny Shakespeare from scratch, is measured on text it has not seen,
 * writes, and is saved as a published checkpoint would be.
 *
 *     npm start                                    trains, or goes on where a run was stopped
 *     npm start -- --from runs/shakespeare         goes on: an interrupted run where it stopped, a finished one with a further round
 *     npm start -- --help                          lists the options
 */
import {end, job} from './begin';
import {readFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {Presets, SingleBar} from 'cli-progress';
import {fitInFolder} from '../../src/cli/fitting';
import {rounds, savedRun} from '../../src/cli/rounds';
import * as mamba from '../../src/node';
import {show, UsageError} from './options';
import {data, model as config, recipe} from './recipe';
import {shareOfKnownWords} from './words';

const {folder} = job;

const stop = new AbortController();
process.once('SIGINT', () => stop.abort()); // a second Ctrl-C ends the process at once

tf.enableProdMode();
const {backend} = await mamba.autoBackend();
console.log(`backend ${backend}`);
const text = await readFile(new URL('../data/tinyshakespeare.txt', import.meta.url), 'utf8');
const tokenizer = mamba.characterTokenizer(text);
const tokens = tokenizer.encode(text);
const heldOutFrom = Math.floor(tokens.length * (1 - data.heldOut));

const model = job.goesOn
  ? await saved()
  : mamba.mambaLM({...config, vocabSize: tokenizer.vocabSize}, {seed: recipe.seed});
model.tokenizer = tokenizer;
console.log(
  `${model.countParams().toLocaleString('en')} parameters, ${heldOutFrom.toLocaleString('en')} characters of text`,
);

const finished = await train();
if (finished) {
  await measure();
  await write();
} else {
  console.log('Stopped before the end, and saved.');
}
console.log(`The model is in ${show(folder)}. To go on from it: npm start -- --from ${show(folder)}`);

/** The model to go on from. */
async function saved(): Promise<mamba.MambaLM> {
  const model = await mamba.fromPretrained(folder).catch(end);
  if (JSON.stringify(model.tokenizer) !== JSON.stringify(tokenizer)) {
    end(new UsageError(`${show(folder)} holds a model of other characters than this text has`));
  }
  return model;
}

/** Trains, with a progress bar; false if interrupted. */
async function train(): Promise<boolean> {
  const round = await rounds(folder, job.goesOn, job.steps);
  const {peak, warmup, floor} = recipe;
  const trainer = mamba.trainer(model, {
    optimizer: mamba.adamW({
      learningRate: mamba.warmupCosine({
        peak: peak * round.rate,
        warmupSteps: Math.ceil(warmup * round.steps),
        totalSteps: round.steps,
        floor,
      }),
      weightDecay: recipe.weightDecay,
      clipNorm: recipe.clipNorm,
    }),
  });
  const windows = mamba.tokenWindows(tokens.slice(0, heldOutFrom), {
    batchSize: recipe.batchSize,
    length: recipe.length,
    seed: recipe.seed + round.number,
  });
  const bar = new SingleBar(
    {
      format:
        'training {bar} {percentage} % | step {value} of {total} | loss {loss} | {rate} characters/s | {eta_formatted} left',
      noTTYOutput: true,
      notTTYSchedule: 10_000,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  if (round.resumes) {
    console.log(
      `Going on with the run in ${show(folder)}, stopped on its way to ${round.steps} steps; --force starts anew.`,
    );
  }
  bar.start(round.steps, round.resumes ? savedRun(folder)!.step : 0, {loss: '–', rate: '–'});
  const result = await fitInFolder(trainer, windows, {
    folder,
    round,
    saveEvery: recipe.checkpointEvery,
    title: 'nats per character, over steps',
    reportEvery: 10,
    signal: stop.signal,
    save: () => mamba.savePretrained(model, folder),
    onStep: ({step, loss, tokensPerSecond}) =>
      bar.update(step, {loss: loss.toFixed(2), rate: Math.round(tokensPerSecond).toLocaleString('en')}),
  });
  bar.stop();
  return result.ended !== 'aborted';
}

/** The loss on the last tenth of the text, which training never saw. */
async function measure(): Promise<void> {
  const windows = mamba.tokenWindows(tokens.slice(heldOutFrom), {...data.evaluation, order: 'sequential'});
  const evaluator = mamba.trainer(model, {optimizer: mamba.adamW({learningRate: 1})});
  const {loss} = await evaluator.evaluate(windows);
  console.log(`held-out loss ${loss.toFixed(2)} nats per character`);
}

/** Writes as a stream, and looks how much of what it writes are words. */
async function write(): Promise<void> {
  const {prompt, shown, counted, temperature} = recipe.sample;
  let sample = '';
  console.log();
  process.stdout.write(prompt);
  try {
    for await (const {text: character} of model.generate(prompt, {
      maxNewTokens: counted,
      temperature,
      seed: recipe.seed,
      signal: stop.signal,
    })) {
      if (sample.length < shown) process.stdout.write(character);
      sample += character;
    }
    const share = shareOfKnownWords(sample, text);
    console.log('\n');
    console.log(`${Math.round(100 * share)} % of the words of a ${counted}-character sample occur in the corpus`);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.log('\n');
  }
}
