/**
 * `npm run reproduce -- dna --data <folder>`: what base comes next, in bits a base, on regions of E. coli and phage lambda that were held
 * out, beside Markov models of every order counted on the same bases.
 */
import {readFile} from 'node:fs/promises';
import type {MambaLM} from '../../src/node';
import {fromPretrained, mambaLM, savePretrained, tokenWindows} from '../../src/node';
import {Random} from '../../src/random';
import {finish, readOptions, startJob, UsageError} from '../support/job';
import {lossOver, trainLanguage} from '../support/language';
import {cut, readFasta, strands} from './bases';
import {blendedBits, countContexts, markovBits} from './markov';
import {alphas, orders, recipe, regions, sizes, weights} from './recipe';

const name = 'dna';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'rows in a step', value: recipe.batchSize},
};

type Parts = Record<'training' | 'validation' | 'heldOut', Uint8Array[]>;

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba']);
  if (!given) return;
  const {seed, steps, batch, minutes, out, data = '.'} = given;
  const files: Record<string, Parts> = {};
  for (const [file, of] of Object.entries(regions)) {
    const text = await readFile(`${data}/${file}`, 'utf8').catch(() => {
      throw new UsageError(
        `--data must be a folder with ${file}, which models/dna/README.md says how to get, but is ${data}`,
      );
    });
    const bases = readFasta(text);
    const parts = Object.entries(of).map(([part, list]) => [part, list.map((region) => cut(bases, region))]);
    files[file] = Object.fromEntries(parts) as Parts;
  }
  const training = Object.values(files).flatMap((parts) => parts.training);
  const validation = Object.values(files).flatMap((parts) => parts.validation)[0];
  const markov = byCounting(training, files);
  await startJob(given);
  const model = mambaLM(sizes, {seed});
  console.log(`${model.countParams().toLocaleString('en')} parameters`);
  const how = {...recipe, seed, steps, batchSize: batch, minutes};
  const windows = tokenWindows(validation, {batchSize: 8, length: recipe.length, order: 'sequential'});
  const trained = await trainLanguage(model, strands(training, how, new Random(1000 * seed)), windows, how, () =>
    savePretrained(model, out, {dtype: 'float16'}),
  );
  model.dispose();
  const best = await fromPretrained(out);
  const mamba = await bitsOf(best, files);
  console.log(`mamba: ${say(mamba)}`);
  await finish(out, {mamba, markov, ...how, ...trained});
}

const say = (bits: Record<string, number>) =>
  Object.entries(bits)
    .map(([file, value]) => `${file} ${value.toFixed(4)}`)
    .join(', ');

/** Bits a base on the held-out regions of each file. */
export async function bitsOf(
  model: MambaLM,
  files: Record<string, Pick<Parts, 'heldOut'>>,
): Promise<Record<string, number>> {
  const result: Record<string, number> = {};
  for (const [file, {heldOut}] of Object.entries(files)) {
    let [sum, count] = [0, 0];
    for (const stretch of heldOut) {
      sum += stretch.length * (await lossOver(model, stretch, {batchSize: 8, length: recipe.length}));
      count += stretch.length;
    }
    result[file] = sum / count / Math.LN2;
  }
  return result;
}

/** The same of every order, at the constant that is best there, and of all orders together. */
function byCounting(training: Uint8Array[], files: Record<string, Parts>): Record<string, Record<string, number>> {
  const counts = orders.map((order) => countContexts(training, order));
  const over = (bits: (stretch: Uint8Array) => number, {heldOut}: Parts) => {
    const total = heldOut.reduce((sum, {length}) => sum + length, 0);
    return heldOut.reduce((sum, stretch) => sum + stretch.length * bits(stretch), 0) / total;
  };
  const least = (constants: readonly number[], bits: (constant: number, stretch: Uint8Array) => number) =>
    Object.fromEntries(
      Object.entries(files).map(([file, parts]) => [
        file,
        Math.min(...constants.map((constant) => over((stretch) => bits(constant, stretch), parts))),
      ]),
    );
  const results: Record<string, Record<string, number>> = {};
  for (const order of orders) {
    results[`order ${order}`] = least(alphas, (alpha, stretch) => markovBits(counts[order], order, stretch, alpha));
  }
  results['all orders'] = least(weights, (weight, stretch) => blendedBits(counts, stretch, weight));
  for (const [which, bits] of Object.entries(results)) console.log(`${which}: ${say(bits)}`);
  return results;
}
