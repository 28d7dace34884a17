/** `tfjs-mamba finetune`: a model that is there already, further on other text. */
import {existsSync} from 'node:fs';
import type {Command} from 'commander';
import {Option} from 'commander';
import type {MambaLM} from '../node';
import {dataSource} from './dataSource';
import {positiveOrAll, option} from './flags';
import type {Io} from './io';
import {UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withModel} from './library';
import {goesOn, rounds} from './rounds';
import type {TrainingFlags} from './trainingFlags';
import {withTraining} from './trainingFlags';

interface Flags extends TrainingFlags, ModelFlags {
  train?: boolean;
  test?: boolean;
  testBatches: number;
  fineTuneType: 'full';
  numLayers: number;
  out: string;
}

const defaults = {
  iters: 300,
  batchSize: 4,
  maxSeqLength: 256,
  learningRate: 1e-4,
  weightDecay: 0.1,
  saveEvery: 100,
  stepsPerEval: 50,
};

const help = `
Data in JSON lines has an object in each line: {"text": …}, {"prompt": …, "completion": …} or {"messages": [{"role": …, "content": …}, …]}; the
last needs a model with a chat template. Ctrl-C saves; the same command then goes on exactly where it stopped.

Examples:
  $ tfjs-mamba finetune --model state-spaces/mamba-130m-hf --train --data my-notes/ --out runs/notes
  $ tfjs-mamba finetune --model runs/train --train --data qa.jsonl --mask-prompt --num-layers 2
  $ tfjs-mamba finetune --config finetune.yaml --iters 1000`;

export function finetune(command: Command, io: Io): void {
  command.description('train a model further on your own text').addHelpText('after', help);
  withModel(command.optionsGroup('Model:'))
    .option('--out <folder>', 'where the run and its model are kept', 'runs/finetune')
    .addOption(
      new Option('--fine-tune-type <type>', 'what is trained: the weights themselves')
        .choices(['full'])
        .default('full'),
    )
    .addOption(
      option(
        '--num-layers <n>',
        'train this many of the last blocks alone; -1 for the whole model',
        positiveOrAll,
      ).default(-1),
    );
  command
    .optionsGroup('What to do:')
    .option('--train', 'train (unless --test stands alone)')
    .option('--test', 'measure the loss on test.jsonl, after training if there is any')
    .addOption(option('--test-batches <n>', 'batches of the test; -1 for all', positiveOrAll).default(-1));
  withTraining(command, defaults);
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  const {out, data: named} = flags;
  const trains = flags.train ?? !flags.test;
  modelSource(flags);
  if (named === undefined)
    throw new UsageError('--data is missing: a text file, a folder, JSON lines, or - for standard input');
  const further = trains && flags.resume === true && existsSync(`${out}/config.json`);
  if (flags.resume && !further) throw new UsageError(`--resume: ${out} holds no model`);
  const goes = trains && (further || (!flags.force && goesOn(out, '--resume')));
  const source = await dataSource(named, io);
  try {
    const {lib} = await startLibrary(flags);
    const session = await import('./session');
    const model = await loadModel(lib, goes ? {model: out} : flags, io);
    const round = await rounds(out, goes, flags.iters);
    const tokenizer = model.tokenizer;
    if (!tokenizer)
      throw model.tokenizerFault ?? new Error('no tokenizer.json came with the model, so text cannot be read');
    freeze(model, flags.numLayers);
    const data = await session.openTrainingData(lib, source.path, flags, {tokenizer, endOfText: model.config.eosTokenIds[0], round: round.number}, io); // prettier-ignore
    try {
      session.tellData(data, flags.json, io);
      const trainer = lib.trainer(model, {
        optimizer: session.optimizerOf(lib, flags, round),
        gradientAccumulation: flags.gradAccumulationSteps,
      });
      if (trains) {
        if (!data.train) throw new Error(`${named} has nothing to train on: no train.jsonl`);
        tellShare(model, flags, io);
        const save = () => lib.savePretrained(model, out);
        const command = `finetune --model ${modelSource(flags)} --data ${named} --out ${out}`;
        if (!(await session.fit(trainer, data, flags, {command, folder: out, round, save}, io))) return;
      }
      if (flags.test) {
        if (!data.test) throw new Error(`${named} has no test.jsonl`);
        const batches = flags.testBatches === -1 ? undefined : flags.testBatches;
        const {loss, perplexity} = await trainer.evaluate(data.test.evaluation, {batches});
        if (flags.json) io.out(`${JSON.stringify({event: 'test', loss, perplexity})}\n`);
        else io.out(`test loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}\n`);
      }
    } finally {
      await data.close();
      model.dispose();
    }
  } finally {
    await source.close();
  }
}

/** Leaves the last blocks to be trained, as mlx_lm does: neither the embedding nor the norm and the head. */
function freeze(model: MambaLM, numLayers: number): void {
  if (numLayers === -1) return;
  const {nLayer} = model.config;
  const first = nLayer - Math.min(numLayers, nLayer);
  const trained = new Set(Array.from({length: nLayer - first}, (_, i) => `layers.${first + i}`));
  for (const layer of model.layers) layer.trainable = trained.has(layer.name);
}

function tellShare(model: MambaLM, {json}: Flags, io: Io): void {
  const trained = model.trainableWeights.reduce(
    (sum, weight) => sum + weight.shape.reduce<number>((a, b) => a * b!, 1),
    0,
  );
  const all = model.countParams();
  if (json) io.out(`${JSON.stringify({event: 'model', parameters: all, trained})}\n`);
  else
    io.out(
      `training ${trained.toLocaleString('en')} of ${all.toLocaleString('en')} parameters, ${((100 * trained) / all).toFixed(2)} %\n`,
    );
}
