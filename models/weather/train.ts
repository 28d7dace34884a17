/**
 * `npm run reproduce -- weather`: the temperature of the next 24 hours from the weather so far, by Mamba, an LSTM and a GRU from several
 * seeds, beside what needs no learning.
 */
import {mkdir, writeFile} from 'node:fs/promises';
import {fitModel} from '../support/fit';
import {machine, readOptions, startJob} from '../support/job';
import {saveLayers} from '../support/layersFiles';
import {spread} from '../support/spread';
import {readWeather} from './data';
import type {Errors} from './evaluate';
import {errorsOf, modelErrors, persistence, seasonalNaive} from './evaluate';
import {kinds, weatherModel, type Kind} from './models';
import {recipe} from './recipe';
import {loss, weatherWindows} from './windows';

const name = 'weather';
const options = {
  seed: {help: 'the first seed, of the weights and the stretches', value: recipe.seed},
  seeds: {help: 'how many seeds, each a training of its own', value: recipe.seeds},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'stretches in a step', value: recipe.batchSize},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, kinds);
  if (!given) return;
  const {steps, batch, minutes, out} = given;
  const stations = await readWeather(given.data);
  await startJob(given);
  const naive = {persistence: errorsOf(persistence, stations), seasonalNaive: errorsOf(seasonalNaive, stations)};
  for (const [rule, errors] of Object.entries(naive)) console.log(`${rule}: ${show(errors)}`);
  for (const kind of given.mixers as Kind[]) {
    const folder = `${out}/${kind}`;
    await mkdir(folder, {recursive: true});
    const results: object[] = [];
    const means: number[] = [];
    for (let seed = given.seed; seed < given.seed + given.seeds; seed++) {
      const model = weatherModel(kind, {seed});
      const fitted = await fitModel(model, weatherWindows(stations, {...recipe, batchSize: batch, seed}), {
        ...{...recipe, name: `${kind} of seed ${seed}`, steps, minutes, loss},
        look: async () => ({error: (await modelErrors(model, stations)).mean}),
      });
      const errors = await modelErrors(model, stations);
      const parameters = model.countParams();
      console.log(`${kind}, ${parameters} parameters, seed ${seed}: ${show(errors)}`);
      results.push({...{kind, seed, parameters, errors}, ...fitted});
      means.push(errors.mean);
      await saveLayers(model, `${folder}/${seed}`);
      const result = {...spread(means), naive, results, machine: machine()};
      await writeFile(`${folder}/result.json`, `${JSON.stringify(result, null, 2)}\n`);
      model.dispose();
    }
    const {mean, deviation} = spread(means);
    console.log(`${kind}: ${mean.toFixed(3)} ± ${deviation.toFixed(3)} °C over ${means.length} seeds`);
  }
}

function show({mean, ahead}: Errors): string {
  const some = [1, 6, 12, 24].map((hours) => `${hours} h ${ahead[hours - 1].toFixed(2)}`);
  return `mean absolute error ${mean.toFixed(3)} °C (${some.join(', ')})`;
}
