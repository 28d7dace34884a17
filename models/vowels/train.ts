/**
 * `npm run reproduce -- vowels` and `npm run reproduce -- acsf1`: series with classes by a Mamba, an LSTM and a GRU that read both ways, from
 * several seeds, and by the nearest neighbour.
 */
import {mkdir, writeFile} from 'node:fs/promises';
import {fitModel} from '../support/fit';
import {machine, readOptions, startJob} from '../support/job';
import {saveLayers} from '../support/layersFiles';
import {spread} from '../support/spread';
import {accuracy, seriesBatches} from './batches';
import type {SetName} from './data';
import {readSet} from './data';
import {nearest} from './dtw';
import {kinds, seriesModel, type Kind} from './models';
import {recipes} from './recipe';

export const reproduce = (args: readonly string[]): Promise<void> => reproduceSet('vowels', args);

export async function reproduceSet(set: SetName, args: readonly string[]): Promise<void> {
  const recipe = recipes[set];
  const options = {
    seed: {help: 'the first seed, of the weights and the order', value: recipe.seed},
    seeds: {help: 'how many seeds, each a training of its own', value: recipe.seeds},
    steps: {help: 'steps', value: recipe.steps},
    batch: {help: 'series in a step', value: recipe.batchSize},
  };
  const given = readOptions(set, args, options, [...kinds, 'dtw']);
  if (!given) return;
  const {steps, batch, out, minutes} = given;
  const {training, test, scales} = await readSet(set, given.data);
  await startJob(given);
  for (const kind of given.mixers as Array<Kind | 'dtw'>) {
    const folder = `${out}/${kind}`;
    await mkdir(folder, {recursive: true});
    const write = (results: object) => writeFile(`${folder}/result.json`, `${JSON.stringify(results, null, 2)}\n`);
    if (kind === 'dtw') {
      const start = performance.now();
      const right = test.filter((series) => nearest(series, training) === series.label).length / test.length;
      const seconds = (performance.now() - start) / 1e3;
      console.log(`1-NN DTW: ${(100 * right).toFixed(1)} % of ${test.length} series in ${seconds.toFixed(0)} s`);
      await write({kind, accuracy: right, seconds, machine: machine()});
      continue;
    }
    const results: Array<{seed: number; accuracy: number}> = [];
    for (let seed = given.seed; seed < given.seed + given.seeds; seed++) {
      const model = seriesModel(set, kind, seed);
      const fitted = await fitModel(model, seriesBatches(training, {batchSize: batch, seed}), {
        ...{...recipe, name: `${kind} of seed ${seed}`, steps, minutes},
        look: async () => ({accuracy: await accuracy(model, test)}),
      });
      const right = await accuracy(model, test);
      const parameters = model.countParams();
      console.log(
        `${kind}, ${parameters} parameters, seed ${seed}: ${(100 * right).toFixed(1)} % of ${test.length} series`,
      );
      results.push({...{kind, seed, parameters, accuracy: right}, ...fitted});
      await saveLayers(model, `${folder}/${seed}`);
      await writeFile(`${folder}/scales.json`, `${JSON.stringify(scales)}\n`);
      await write({...spread(results.map((one) => one.accuracy)), results, machine: machine()});
      model.dispose();
    }
    const {mean, deviation} = spread(results.map((one) => one.accuracy));
    console.log(`${kind}: ${(100 * mean).toFixed(1)} ± ${(100 * deviation).toFixed(1)} % over ${results.length} seeds`);
  }
}
