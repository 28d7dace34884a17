/**
 * `npm run reproduce -- induction-heads`: trains on 256 tokens, evaluates up to a million, with a Transformer of the same size beside it
 * (paper, section 4.1.2 and table 2).
 */
import * as tf from '@tensorflow/tfjs';
import {stepSizeBias} from '../../src/mixers/initializers';
import type {MambaConfig, MambaLM} from '../../src/node';
import {mambaLM} from '../../src/node';
import {baselineConfig} from '../baselines';
import {accuracy} from '../support/episodes';
import {keep, readOptions, startJob} from '../support/job';
import {trainInStages} from '../support/stages';
import {inductionHeads} from './data';
import type {LengthResult} from './evaluate';
import {evaluateAt} from './evaluate';
import {unlearnForgetting} from './forgetting';
import {firstBlock, mamba, recipe, sizes, trainedLength} from './recipe';

const name = 'induction-heads';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  steps: {help: 'steps at the full length, after the shorter stages', value: recipe.steps},
  to: {help: 'the longest sequence that is evaluated', value: 2 ** 20},
  'transformer-to': {help: 'the same for the Transformer, whose scores grow with the square of it', value: 2 ** 14},
  rows: {help: 'sequences at each length', value: 16},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba', 'transformer']);
  if (!given) return;
  await startJob(given);
  for (const mixer of given.mixers) {
    const config: MambaConfig = mixer === 'mamba' ? mamba : baselineConfig(mixer, sizes);
    const model = mambaLM(config, {seed: given.seed});
    if (mixer === 'mamba') startFirstBlock(model, given.seed);
    console.log(`\n${mixer}: ${model.countParams().toLocaleString('en')} parameters`);
    const {forgetting} = recipe;
    const steps = given.steps + (mixer === 'mamba' ? 0 : forgetting.steps);
    const stages = [...recipe.warmUp, {length: trainedLength, steps}].map((stage) => {
      return {name: `length ${stage.length}`, draw: inductionHeads(stage.length), steps: stage.steps};
    });
    const start = performance.now();
    await trainInStages(model, stages, {...recipe, seed: given.seed, minutes: given.minutes});
    if (mixer === 'mamba') {
      const {batchSize, weightDecay} = recipe;
      const rest = {batchSize, weightDecay, seed: 1000 * given.seed + stages.length, every: 50};
      unlearnForgetting(model, forgetting.lengths.map(inductionHeads), {...forgetting, ...rest});
    }
    const seconds = (performance.now() - start) / 1e3;
    const heldOut = await accuracy(model, inductionHeads(trainedLength), {rows: 512, batchSize: 32, seed: 2});
    console.log(
      `trained in ${seconds.toFixed(0)} s; ${(100 * heldOut).toFixed(1)} % of 512 fresh sequences of ${trainedLength}`,
    );
    const lengths: LengthResult[] = [];
    const longest = mixer === 'mamba' ? given.to : given['transformer-to'];
    const save = () => keep(model, `${given.out}/${mixer}`, {command: args.join(' '), seconds, heldOut, lengths});
    await save();
    for (let length = 64; length <= longest; length *= 2) {
      const piece = Math.min(length, 2048, mixer === 'mamba' ? length : 2 ** 22 / length); // of scores there are piece · length
      const result = await evaluateAt(model, length, {rows: given.rows, piece, seed: 3});
      lengths.push(result);
      const {accuracy: right, seconds: taken, bytes} = result;
      console.log(
        `length ${String(length).padStart(7)}: ${(100 * right).toFixed(1).padStart(5)} %, ${taken.toFixed(1)} s, ` +
          `${(bytes / 1e6).toFixed(2)} MB held`,
      );
      await save();
    }
    model.dispose();
  }
}

/** The first block's step sizes start as those of a block that soon forgets. */
function startFirstBlock(model: MambaLM, seed: number): void {
  const bias = model.weightsByName().get('layers.0/mixer/dtProj/bias')!;
  tf.tidy(() => void bias.write(stepSizeBias(firstBlock)(bias.shape as number[], seed)));
}
