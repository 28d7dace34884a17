/**
 * `npm run reproduce -- writer --data <folder>`: a character model of Shakespeare, larger than the main job's and trained on more of him,
 * measured on what that one is measured on. `--from <folder>` goes on with a further round, whose learning rate is lower.
 */
import {characterTokenizer, fromPretrained, mambaLM, savePretrained, tokenWindows} from '../../src/node';
import {finish, readOptions, startJob} from '../support/job';
import {lossOver, trainLanguage} from '../support/language';
import {writerText} from './data';
import {evaluation, recipe, sizes} from './recipe';

const name = 'writer';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'rows in a step', value: recipe.batchSize},
  width: {help: 'of the model', value: sizes.dModel},
  layers: {help: 'blocks of the model', value: sizes.nLayer},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba']);
  if (!given) return;
  const {seed, steps, batch, width, layers, minutes, out} = given;
  const text = await writerText(given.data ?? 'plays');
  await startJob(given);
  const tokenizer = characterTokenizer(text.characters);
  const [training, validation, heldOut] = [text.training, text.validation, text.heldOut].map((part) =>
    tokenizer.encode(part),
  );
  const model = given.from
    ? await fromPretrained(given.from)
    : mambaLM({vocabSize: tokenizer.vocabSize, dModel: width, nLayer: layers}, {seed});
  model.tokenizer = tokenizer;
  console.log(
    `${model.countParams().toLocaleString('en')} parameters, ${training.length.toLocaleString('en')} characters, ` +
      `of ${text.plays} plays beside the corpus`,
  );
  const windows = tokenWindows(validation.slice(0, 2 ** 15 + 1), {batchSize: 16, length: 1024, order: 'sequential'});
  const how = {...recipe, ...(given.from && recipe.further), seed, steps, batchSize: batch, minutes};
  const trained = await trainLanguage(model, training, windows, how, () =>
    savePretrained(model, out, {dtype: 'float16'}),
  );
  model.dispose();
  // What is kept is the best of validation, as its file has it.
  const best = await fromPretrained(out);
  const nats = await lossOver(best, heldOut, evaluation);
  console.log(`held-out loss ${nats.toFixed(4)} nats per character`);
  await finish(out, {heldOut: nats, plays: text.plays, characters: training.length, ...how, ...trained});
}
