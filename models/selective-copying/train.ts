/**
 * `npm run reproduce -- selective-copying`: Mamba and what is not selective, each trained in the same way on the same sequences (paper,
 * section 4.1.1 and table 1).
 */
import type {MambaConfig} from '../../src/node';
import {fromPretrained, mambaLM} from '../../src/node';
import {baselineConfig, baselines} from '../baselines';
import {accuracy} from '../support/episodes';
import {keep, readOptions, startJob} from '../support/job';
import {trainInStages} from '../support/stages';
import {selectiveCopying} from './data';
import {recipe, sizes} from './recipe';

const name = 'selective-copying';
const options = {
  seed: {help: 'of the weights and the data', value: recipe.seed},
  length: {help: 'places among which the tokens stand', value: recipe.length},
  tokens: {help: 'tokens to copy', value: recipe.tokens},
  steps: {help: 'steps', value: recipe.steps},
  batch: {help: 'sequences in a step', value: recipe.batchSize},
  shortest: {help: 'the first of the lengths that double up to it', value: recipe.length},
};

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba', ...baselines.map((mixer) => mixer.name)]);
  if (!given) return;
  const {seed, length, tokens, steps, batch, shortest, from} = given;
  const draw = selectiveCopying({length, tokens});
  await startJob(given);
  console.log(`${tokens} tokens among ${length} places, ${steps} steps of ${batch} sequences`);
  for (const mixer of given.mixers) {
    const config: MambaConfig = mixer === 'mamba' ? sizes : baselineConfig(mixer, sizes);
    const model = from ? await fromPretrained(from) : mambaLM(config, {seed});
    console.log(`\n${mixer}: ${model.countParams().toLocaleString('en')} parameters`);
    const peak = from ? recipe.peak / 2 : recipe.peak;
    const how = {...recipe, peak, batchSize: batch, seed, minutes: given.minutes};
    const of = (length: number) => selectiveCopying({length, tokens});
    const way = shorter(shortest, length, tokens).map((stage) => ({...stage, draw: of(stage.length)}));
    const all = [...shorter(recipe.length, length, tokens).map((stage) => of(stage.length)), of(length)];
    // In the end on all lengths, or it forgets the short ones.
    const stages = [...way, {length, steps, draw: all.length > 1 ? all : all[0]}].map((stage) => {
      return {...stage, name: `${mixer} at ${stage.length}`};
    });
    const trained = await trainInStages(model, stages, how);
    const right = await accuracy(model, draw, {rows: 512, batchSize: 32, seed: 2});
    console.log(
      `${mixer}: ${(100 * right).toFixed(2)} % of the tokens of 512 fresh sequences, after ${trained.steps} steps, ${trained.seconds.toFixed(0)} s`,
    );
    await keep(model, `${given.out}/${mixer}`, {length, tokens, ...trained, batch, seed, accuracy: right});
    model.dispose();
  }
}

/** Longer sequences than the shipped model's are begun on short ones, where the pattern is found sooner. */
function shorter(
  shortest: number,
  length: number,
  tokens: number,
): Array<{length: number; steps: number; until?: number}> {
  const stages = [];
  for (let short = shortest; short < length; short *= 2) {
    if (short >= tokens) stages.push({length: short, ...recipe.shorter});
  }
  return stages;
}
