/**
 * `npm run reproduce -- scaling --data <folder>`: Mamba and a Transformer++ at three sizes, trained on the same bytes of the King James Bible
 * (paper, section 4.2.1 and figure 4, at a size that a page can hold). `--mixer` takes models as `mamba-0.1M`.
 */
import {readFile} from 'node:fs/promises';
import {mambaLM, tokenWindows} from '../../src/node';
import {finish, readOptions, startJob, UsageError} from '../support/job';
import {lossOver, trainLanguage} from '../support/language';
import {heldOut, recipe} from './recipe';
import type {Architecture, Size} from './sizes';
import {architectures, configOf, sizes} from './sizes';

const name = 'scaling';
const options = {
  seed: {help: 'the first', value: recipe.seed},
  seeds: {help: 'how many', value: recipe.seeds},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'rows in a step', value: recipe.batchSize},
};

const models = (Object.keys(sizes) as Size[]).flatMap((size) =>
  architectures.map((architecture) => `${architecture}-${size}`),
);

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, models);
  if (!given) return;
  const {seed, seeds, steps, batch, minutes, out, data = '.'} = given;
  const text = await readFile(`${data}/kjv.txt`).catch(() => {
    throw new UsageError(
      `--data must be a folder with kjv.txt, which models/scaling/README.md says how to make, but is ${data}`,
    );
  });
  await startJob(given);
  const from = Math.floor(text.length * (1 - heldOut));
  const [training, rest] = [text.subarray(0, from), text.subarray(from)];
  const {length} = recipe;
  // Enough to see where a run is; at its end it is measured on all.
  const some = rest.subarray(0, 64 * length + 1);
  for (let i = 0; i < seeds; i++) {
    for (const which of given.mixers) {
      const [architecture, size] = which.split('-') as [Architecture, Size];
      const model = mambaLM(configOf(architecture, size), {seed: seed + i});
      console.log(`\n${which}, seed ${seed + i}: ${model.countParams().toLocaleString('en')} parameters`);
      const how = {...recipe, peak: sizes[size].peak, seed: seed + i, steps, batchSize: batch, minutes};
      const windows = tokenWindows(some, {batchSize: 32, length, order: 'sequential'});
      const trained = await trainLanguage(model, training, windows, how);
      const nats = await lossOver(model, rest, {batchSize: 32, length});
      const far = await lossOver(model, rest, {batchSize: 8, length: 4 * length});
      console.log(
        `${which}, seed ${seed + i}: ${nats.toFixed(4)} nats a byte held out; in rows of ${4 * length}: ${far.toFixed(4)}`,
      );
      await finish(`${out}/${which}-${seed + i}`, {
        which,
        size,
        architecture,
        heldOut: nats,
        inLongerRows: far,
        ...how,
        ...trained,
      });
      model.dispose();
    }
  }
}
