/**
 * `npm run reproduce -- digit-speech`: learns to speak digits sample by sample, then speaks each of them by each speaker as WAV files,
 * which the classifier of models/digits is asked about.
 */
import {existsSync} from 'node:fs';
import {mkdir, writeFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {mambaLM, savePretrained} from '../../src/node';
import {hear} from '../digits/evaluate';
import {isForTest, RATE, speakers} from '../digits/recording';
import {readRecordings} from '../digits/recordings';
import {fitModel} from '../support/fit';
import {keep, readOptions, startJob} from '../support/job';
import {loadLayers} from '../support/layersFiles';
import {writeWav} from '../support/wav';
import {heldOutBits} from './evaluate';
import {model as config, recipe} from './recipe';
import {speak} from './speak';
import {speechBatches} from './tokens';

const name = 'digit-speech';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'recordings in a step', value: recipe.batchSize},
  takes: {help: 'of each digit by each speaker in the end', value: recipe.takes},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba']);
  if (!given) return;
  const {seed, steps, batch, minutes, out, takes} = given;
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
  const result = {seed, batch, parameters: model.countParams(), bits, ...fitted};
  await keep(model, out, result);
  const classifier = fileURLToPath(new URL('../digits', import.meta.url));
  if (!existsSync(`${classifier}/model.json`)) return;

  const prompts = [...Array(takes * 10 * speakers.length).keys()].map((i) => {
    return {digit: i % 10, speaker: Math.floor(i / 10) % speakers.length};
  });
  const start = performance.now();
  const said = await speak(model, prompts, {...recipe, seed});
  const seconds = (performance.now() - start) / 1e3;
  for (const [i, {digit, speaker, samples}] of said.entries()) {
    const file = `${out}/${digit}_${speakers[speaker]}_${Math.floor(i / 60)}.wav`;
    await writeFile(file, writeWav({samples, rate: RATE}));
  }
  const judge = await loadLayers(classifier);
  const heard = await hear(judge, said);
  const recognised = said.filter(({digit}, i) => digit === heard[i]).length / said.length;
  console.log(`${said.length} spoken in ${seconds.toFixed(0)} s; the classifier hears ${(100 * recognised).toFixed(1)} % right`);
  await keep(model, out, {...result, spoken: {takes, temperature: recipe.temperature, seconds, recognised, heard}});
  tf.dispose(judge.getWeights());
}
