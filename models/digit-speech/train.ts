/** `npm run reproduce -- digit-speech`: learns to speak digits sample by sample. */
import {mkdir} from 'node:fs/promises';
import {mambaLM, savePretrained} from '../../src/node';
import {isForTest} from '../digits/recording';
import {readRecordings} from '../digits/recordings';
import {fitModel} from '../support/fit';
import {keep, readOptions, startJob} from '../support/job';
import {heldOutBits} from './evaluate';
import {model as config, recipe} from './recipe';
import {speechBatches} from './tokens';

const name = 'digit-speech';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'recordings in a step', value: recipe.batchSize},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba']);
  if (!given) return;
  const {seed, steps, batch, minutes, out} = given;
  const recordings = await readRecordings(given.data);
  await startJob(given);
  const [training, test] = [false, true].map((forTest) => recordings.filter((one) => isForTest(one) === forTest));
  const model = mambaLM(config, {seed});
  console.log(`${model.countParams().toLocaleString('en')} parameters`);
  const fitted = await fitModel(model, speechBatches(training, {...recipe, batchSize: batch, seed}), {
    ...{...recipe, name, steps, minutes},
    look: async () => {
      await mkdir(out, {recursive: true});
      await savePretrained(model, out);
      return {bits: await heldOutBits(model, test.slice(0, 64), recipe)};
    },
  });
  const bits = await heldOutBits(model, test, recipe);
  console.log(`${bits.toFixed(3)} bits per sample on the ${test.length} recordings of the test split`);
  await keep(model, out, {seed, batch, parameters: model.countParams(), bits, ...fitted});
}
