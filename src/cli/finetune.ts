/** `tfjs-mamba finetune`: a model that is there already, further on other text: its weights, or an adapter beside them. */
import type {Command} from 'commander';
import {Option} from 'commander';
import type {Cluster, MambaLM, OpenedData} from '../node';
import {dataSource} from './dataSource';
import {fraction, above0, list, option, positive, positiveOrAll} from './flags';
import type {Io} from './io';
import {shellWord, UsageError} from './io';
import type {Library, ModelFlags} from './library';
import {loadBase, modelSource, withModel, withWeights} from './library';
import type {Round} from './rounds';
import {checkFolder, findRound, goesOn, holdsModel, restarted, show, withNote} from './rounds';
import {settingsOf, settled} from './settings';
import type {Part} from './together';
import {together, workers} from './together';
import type {TrainingFlags} from './trainingFlags';
import {withTraining} from './trainingFlags';
import type {TunerFlags} from './tuner';

interface Flags extends TrainingFlags, ModelFlags, TunerFlags {
  train?: boolean;
  test?: boolean;
  testBatches: number;
  adapterPath: string;
  out: string;
}

const defaults = {
  iters: 300,
  batchSize: 4,
  maxSeqLength: 256,
  weightDecay: 0.1,
  saveEvery: 100,
  stepsPerEval: 50,
};

/** Corrections start from nothing, and take larger steps than weights that are good already. */
const learningRates = {full: 1e-4, lora: 1e-3, dora: 1e-3};

const help = `
lora and dora train small corrections beside the weights and keep them, as PEFT does, in --adapter-path: generate, eval and chat take them by
--adapter-path, "fuse" puts them into the weights. full trains the weights and keeps the whole model in --out. Ctrl-C saves; the same command
then goes on exactly where it stopped.

Data in JSON lines has an object in each line: {"text": …}, {"prompt": …, "completion": …} or {"messages": [{"role": …, "content": …}, …]}; the
last needs a model with a chat template. An adapter over --weights int8 is what is called QLoRA.

Examples:
  $ tfjs-mamba finetune --model state-spaces/mamba-130m-hf --train --data my-notes/
  $ tfjs-mamba finetune --model runs/train --train --data qa.jsonl --mask-prompt --num-layers 2 --fine-tune-type full
  $ tfjs-mamba finetune --config finetune.yaml --iters 1000`;

export function finetune(command: Command, io: Io): void {
  command.description('train a model further on your own text').addHelpText('after', help);
  withWeights(withModel(command.optionsGroup('Model:')))
    .option('--adapter-path <folder>', 'where lora and dora keep the run and its adapter', 'adapters')
    .option('--out <folder>', 'where full keeps the run and its model', 'runs/finetune');
  command
    .optionsGroup('What to train:')
    .addOption(new Option('--fine-tune-type <type>', 'an adapter, or the weights themselves').choices(['lora', 'dora', 'full']).default('lora')) // prettier-ignore
    .addOption(option('--num-layers <n>', 'the last so many blocks alone; -1 for all', positiveOrAll).default(-1))
    .option('--resume-adapter-file <path>', 'begin with this adapter in place of a fresh one')
    .addOption(option('--lora-rank <n>', 'rank of the corrections', positive).default(8))
    .addOption(option('--lora-alpha <x>', 'they are scaled by alpha / rank', above0).default(16))
    .addOption(option('--lora-dropout <share>', 'of its inputs that a correction does not see', fraction).default(0))
    .addOption(new Option('--lora-targets <names>', 'what is corrected, with commas between (default: in_proj,x_proj,out_proj)').argParser(list)); // prettier-ignore
  command
    .optionsGroup('What to do:')
    .option('--train', 'train (unless --test stands alone)')
    .option('--test', 'measure the loss on test.jsonl, after training if there is any')
    .addOption(option('--test-batches <n>', 'batches of the test; -1 for all', positiveOrAll).default(-1));
  withTraining(command, defaults, {learningRate: '0.0001 for full, 0.001 for lora and dora'});
  command.action((flags: Flags) => together(flags, io, (part) => act(command, flags, part)));
}

async function act(command: Command, given: Flags, part: Part): Promise<void> {
  const {flags, named, goes, ended, trains, folder, flag} = await part.decide(() => plan(command, given));
  const {io} = part;
  if (ended) return io.out(`The run in ${show(folder)} has ended.\n`);
  const {fineTuneType} = flags;
  const source = await dataSource(named, io);
  try {
    const {lib, backend} = await part.library();
    const {openTrainingData} = await import('./session');
    const {startTuning} = await import('./tuner');
    const base = fineTuneType === 'full' && goes ? {model: folder} : flags;
    const model = await loadBase(lib, base, io);
    try {
      const tokenizer = model.tokenizer;
      if (!tokenizer)
        throw model.tokenizerFault ?? new Error('no tokenizer.json came with the model, so text cannot be read');
      const {begin, ...found} = await part.decide(() => ({
        ...findRound(folder, goes, flags.iters),
        begin: goes || (!trains && holdsModel(folder)) ? folder : flags.resumeAdapterFile,
      }));
      const round = withNote(folder, found, settingsOf(flags));
      const tuning = await startTuning(lib, model, flags, begin);
      const {checkTrains} = await import('./fits');
      if (trains) checkTrains(backend, tuning.total, tuning.trained);
      const data = await openTrainingData(lib, source.path, flags, {tokenizer, endOfText: model.config.eosTokenIds[0], round: round.number}, io); // prettier-ignore
      try {
        // The kind says which of the two folders is meant.
        const place = `${fineTuneType === 'full' ? '--fine-tune-type full ' : ''}${flag} ${shellWord(folder)}`;
        const command = `finetune --model ${shellWord(modelSource(flags))} --data ${shellWord(named)} ${place}`;
        await work(lib, model, data, flags, {trains, command, folder, round, cluster: part.cluster, ...tuning}, io);
      } finally {
        await data.close();
      }
    } finally {
      model.dispose();
    }
  } finally {
    await source.close();
  }
}

/** What is to be done, by what is in the folder. */
function plan(command: Command, given: Flags) {
  const [folder, flag] = given.fineTuneType === 'full' ? [given.out, '--out'] : [given.adapterPath, '--adapter-path'];
  checkPlace(command, given.fineTuneType);
  const restart = restarted(folder);
  const settledFlags = settled(command, {...given, ...(restart && {force: false, resume: false})}, folder);
  const flags = {...settledFlags, learningRate: settledFlags.learningRate ?? learningRates[settledFlags.fineTuneType]};
  const {data: named} = flags;
  const trains = flags.train ?? !flags.test;
  modelSource(flags);
  if (named === undefined)
    throw new UsageError('--data is missing: a text file, a folder, JSON lines, or - for standard input');
  if (flags.fineTuneType === 'full') checkFull(flags);
  checkFolder(folder, flag, trains);
  if (flags.tensorboard !== undefined) checkFolder(flags.tensorboard, '--tensorboard');
  const found = {flags, named, trains, folder, flag};
  if (restart === 'ended') return {...found, goes: true, trains: false, ended: !flags.test};
  if (restart) return {...found, goes: true, ended: false};
  if (flags.resume && !holdsModel(folder)) throw new UsageError(`--resume: ${folder} holds no model`);
  return {...found, goes: trains && (flags.resume || (!flags.force && goesOn(folder, '--resume', flag))), ended: false};
}

/** The folder that is not written to would be passed over in silence. */
function checkPlace(command: Command, type: Flags['fineTuneType']): void {
  const [other, why] =
    type === 'full'
      ? (['adapterPath', '--adapter-path is for lora and dora; full keeps the whole model in --out'] as const)
      : (['out', `--out is for --fine-tune-type full; ${type} keeps its adapter in --adapter-path`] as const);
  if (['cli', 'config'].includes(command.getOptionValueSource(other) ?? '')) throw new UsageError(why);
}

/** What is of adapters alone would be passed over in silence. */
function checkFull({weights, resumeAdapterFile}: Flags): void {
  if ((weights ?? 'float32') !== 'float32')
    throw new UsageError(`--weights must be float32 with --fine-tune-type full, which trains them, but is ${weights}`);
  if (resumeAdapterFile !== undefined)
    throw new UsageError('--resume-adapter-file is for lora and dora, but --fine-tune-type is full; fuse it first');
}

interface Work {
  trains: boolean;
  command: string;
  folder: string;
  round: Round;
  cluster?: Cluster;
  trained: number;
  total: number;
  save(folder: string): Promise<void>;
}

async function work(
  lib: Library,
  model: MambaLM,
  data: OpenedData,
  flags: Flags,
  {trains, save, trained, total, ...run}: Work,
  io: Io,
) {
  const session = await import('./session');
  session.tellData(data, flags.json, io);
  const trainer = session.trainerOf(lib, model, flags, run.round, run.cluster);
  if (trains) {
    if (!data.train) throw new Error('there is nothing to train on: no train.jsonl');
    const share = `${((100 * trained) / total).toFixed(2)} %`;
    if (flags.json)
      io.out(`${JSON.stringify({event: 'model', parameters: total, trained, workers: run.cluster?.size})}\n`);
    else
      io.out(
        `training ${trained.toLocaleString('en')} of ${total.toLocaleString('en')} parameters, ${share}${workers(run.cluster)}\n`,
      );
    const isAdapter = flags.fineTuneType !== 'full';
    const base = `--model ${shellWord(modelSource(flags))}${flags.weights === 'int8' ? ' --weights int8' : ''}`;
    const kept = shellWord(run.folder);
    const use = isAdapter ? `${base} --adapter-path ${kept}` : `--model ${kept}`;
    if (!(await session.fit(trainer, data, flags, {...run, use, save: () => save(run.folder)}, io))) return;
  }
  if (!flags.test) return;
  if (!data.test) throw new Error('there is nothing to test on: no test.jsonl');
  const batches = flags.testBatches === -1 ? undefined : flags.testBatches;
  const {loss, perplexity} = await trainer.evaluate(data.test.evaluation, {batches});
  if (flags.json) io.out(`${JSON.stringify({event: 'test', loss, perplexity})}\n`);
  else io.out(`test loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}\n`);
}
