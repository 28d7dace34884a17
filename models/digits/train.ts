/**
 * `npm run reproduce -- digits`: spoken digits from raw samples, by Mamba and by an LSTM, a GRU and a convolution of its size, each trained
 * in the same way on the same recordings, of the official split.
 */
import {mkdir, writeFile} from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import {fitModel} from '../support/fit';
import {machine, readOptions, startJob} from '../support/job';
import {loadLayers, saveLayers} from '../support/layersFiles';
import {accuracy} from './evaluate';
import {digitBatches} from './frames';
import {digitModel, heard, kinds, type Kind} from './models';
import {isForTest} from './recording';
import {readRecordings} from './recordings';
import {recipe} from './recipe';

const name = 'digits';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'recordings in a step', value: recipe.batchSize},
  round: {help: 'above 1 it goes on from what is in --out, at half the rate', value: 1},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, kinds);
  if (!given) return;
  const {seed, steps, batch, minutes, round} = given;
  const recordings = await readRecordings(given.data);
  await startJob(given);
  const [training, test] = [false, true].map((forTest) => recordings.filter((one) => isForTest(one) === forTest));
  for (const kind of given.mixers as Kind[]) {
    const folder = `${given.out}/${kind}`;
    const model = digitModel(kind, {seed});
    if (round > 1) model.setWeights((await loadLayers(folder)).getWeights());
    const parameters = model.countParams();
    console.log(`\n${kind}: ${parameters.toLocaleString('en')} parameters`);
    await mkdir(folder, {recursive: true});
    const fitted = await fitModel(
      model,
      digitBatches(training, {...recipe, batchSize: batch, seed: 1000 * (round - 1) + seed}),
      {
        ...{...recipe, name: kind, steps, minutes, peak: round > 1 ? recipe.peak / 2 : recipe.peak},
        loss,
        look: async () => {
          await saveLayers(model, folder);
          return {accuracy: await accuracy(model, test)};
        },
      },
    );
    await saveLayers(model, folder);
    const right = await accuracy(model, test);
    console.log(`${kind}: ${(100 * right).toFixed(2)} % of the ${test.length} recordings of the test split`);
    const result = {kind, seed, batch, round, parameters, accuracy: right, ...fitted, machine: machine()};
    await writeFile(`${folder}/result.json`, `${JSON.stringify(result, null, 2)}\n`);
    model.dispose();
  }
}

/** Cross entropy of what a recording's frames say together; a share of each label is spread over all digits. */
function loss(labels: tf.Tensor | tf.Tensor[], logits: tf.Tensor | tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => {
    const [digit, share] = (labels as tf.Tensor2D).unstack<tf.Tensor1D>(1);
    const said = heard(logits as tf.Tensor3D, share);
    const target = tf.oneHot(digit.toInt(), said.shape[1]).toFloat();
    const soft = target.mul(1 - recipe.labelSmoothing).add(recipe.labelSmoothing / said.shape[1]);
    return soft.mul(said.logSoftmax()).sum(-1).mean<tf.Scalar>().neg();
  });
}
