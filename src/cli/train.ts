/** `tfjs-mamba train`: a model from scratch. */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Command} from 'commander';
import {Option} from 'commander';
import type {MambaLM, Tokenizer} from '../node';
import {dataSource} from './dataSource';
import {option, positive} from './flags';
import type {Io} from './io';
import {shellWord, UsageError} from './io';
import type {Library} from './library';
import {trainedFolder} from './library';
import {checkFolder, findRound, goesOn, restarted, show, withNote} from './rounds';
import {settingsOf, settled} from './settings';
import type {Part} from './together';
import {together, workers} from './together';
import type {TrainingFlags} from './trainingFlags';
import {withTraining} from './trainingFlags';

interface Flags extends TrainingFlags {
  out: string;
  preset?: string;
  mixer: string;
  dModel: number;
  nLayer: number;
  dState?: number;
  tokenizer: string;
}

/** Those of `npm start`; but over bytes, so that the model can be trained further on any text. */
const defaults = {
  iters: 1500,
  batchSize: 16,
  maxSeqLength: 96,
  learningRate: 8e-3,
  weightDecay: 0.1,
  saveEvery: 250,
  stepsPerEval: 250,
};

/** In a clone of the repository. */
const shakespeare = fileURLToPath(new URL('../../models/data/tinyshakespeare.txt', import.meta.url));

const help = `
The run is kept in --out: the model, as "generate --model" takes it, its losses as loss.svg, and checkpoints. Ctrl-C saves; the same command
then goes on exactly where it stopped, and does so after a crash too.

Examples:
  $ tfjs-mamba train                                          a small model of Shakespeare
  $ tfjs-mamba train --data my-notes/ --iters 3000 --out runs/notes
  $ cat *.log | tfjs-mamba train --data - --d-model 128 --n-layer 4`;

export function train(command: Command, io: Io): void {
  command.description('train a model from scratch').addHelpText('after', help);
  command
    .optionsGroup('Model:')
    .option('--out <folder>', 'where the run is kept', trainedFolder)
    .option(
      '--tokenizer <which>',
      'byte, character (those of the data), or where to load one from: a folder, a URL, a name on the Hub',
      'byte',
    )
    .addOption(option('--d-model <n>', 'width', positive).default(64))
    .addOption(option('--n-layer <n>', 'blocks', positive).default(2))
    .addOption(option('--d-state <n>', 'size of the state of a channel', positive, "8, or 64 of mamba2's heads"))
    .addOption(new Option('--mixer <name>', 'of Mamba or of Mamba-2').choices(['mamba1', 'mamba2']).default('mamba1'))
    .option('--preset <name>', 'a published size in place of these, such as mamba-130m');
  withTraining(command, defaults, {
    data: existsSync(shakespeare) ? " (Shakespeare's works, of the repository)" : undefined,
  });
  command.action((flags: Flags) => together(flags, io, (part) => act(command, flags, part)));
}

async function act(command: Command, given: Flags, part: Part): Promise<void> {
  const {flags, named, goes, ended} = await part.decide(() => plan(command, given));
  if (ended) return part.io.out(`The run in ${show(flags.out)} has ended.\n`);
  const source = await dataSource(named, part.io);
  try {
    await trainOn(source.path, goes, flags, part);
  } finally {
    await source.close();
  }
}

/** What is to be done, by what is in the folder. */
function plan(command: Command, given: Flags) {
  const {out} = given;
  const restart = restarted(out);
  const flags = settled(command, {...given, ...(restart && {force: false, resume: false})}, out);
  const named = flags.data ?? (existsSync(shakespeare) ? shakespeare : undefined);
  if (named === undefined)
    throw new UsageError('--data is missing: a text file, a folder of texts, or - for standard input');
  checkFolder(out, '--out');
  if (flags.tensorboard !== undefined) checkFolder(flags.tensorboard, '--tensorboard');
  if (restart) return {flags, named, goes: true, ended: restart === 'ended'};
  const further = flags.resume === true && existsSync(`${out}/config.json`);
  if (flags.resume && !further) throw new UsageError(`--resume: ${out} holds no model`);
  return {flags, named, goes: further || (!flags.force && goesOn(out, '--resume')), ended: false};
}

async function trainOn(source: string, goes: boolean, flags: Flags, part: Part): Promise<void> {
  const {out, json} = flags;
  const {cluster, io} = part;
  const {lib, backend} = await part.library();
  const session = await import('./session');
  const model = goes ? await lib.fromPretrained(out) : await newModel(lib, backend, source, flags);
  const tokenizer = model.tokenizer!;
  const round = withNote(out, await part.decide(() => findRound(out, goes, flags.iters)), settingsOf(flags));
  const data = await session.openTrainingData(lib, source, flags, {tokenizer, endOfText: model.config.eosTokenIds[0], round: round.number}, io); // prettier-ignore
  try {
    if (!data.train) throw new Error(`${source} has nothing to train on`);
    const parameters = model.countParams();
    if (json) io.out(`${JSON.stringify({event: 'model', backend, parameters, workers: cluster?.size})}\n`);
    else io.out(`${parameters.toLocaleString('en')} parameters, on ${backend}${workers(cluster)}\n`);
    session.tellData(data, json, io);
    const trainer = session.trainerOf(lib, model, flags, round, cluster);
    const save = () => lib.savePretrained(model, out);
    await session.fit(
      trainer,
      data,
      flags,
      {
        command: `train${flags.data === undefined ? '' : ` --data ${shellWord(flags.data)}`} --out ${shellWord(out)}`,
        use: `--model ${shellWord(out)}`,
        folder: out,
        round,
        cluster,
        save,
      },
      io,
    );
  } finally {
    await data.close();
    model.dispose();
  }
}

async function newModel(lib: Library, backend: string, source: string, flags: Flags): Promise<MambaLM> {
  const tokenizer = await chooseTokenizer(lib, source, flags.tokenizer);
  const {preset, dModel, nLayer, dState, mixer} = flags;
  if (preset !== undefined && !Object.hasOwn(lib.presets, preset)) {
    throw new UsageError(`--preset must be one of ${Object.keys(lib.presets).join(', ')}, but is ${preset}`);
  }
  const own = {mixer, dModel, nLayer, ...(mixer === 'mamba1' && {dState: 8}), ...(dState !== undefined && {dState})};
  const sizes = preset === undefined ? own : lib.presets[preset as keyof Library['presets']];
  const text = {vocabSize: tokenizer.vocabSize, eosTokenIds: endOfText(tokenizer)};
  const [{countParameters}, {resolveConfig}, {checkTrains}] = await Promise.all([
    import('../config/weightTable'),
    import('../config/config'),
    import('./fits'),
  ]);
  checkTrains(backend, countParameters(resolveConfig({...sizes, ...text})));
  const model = lib.mambaLM({...sizes, ...text}, {seed: flags.seed + 1});
  model.tokenizer = tokenizer;
  return model;
}

async function chooseTokenizer(lib: Library, source: string, which: string): Promise<Tokenizer> {
  if (which === 'byte') return lib.byteTokenizer();
  if (which !== 'character') return lib.loadTokenizer(which);
  const {charactersOf} = await import('../data/characters');
  return lib.characterTokenizer(await charactersOf(source));
}

/** The id of the `eos_token` that a tokenizer's configuration names. */
function endOfText({config, encode}: Tokenizer): number[] {
  const {eos_token: token} = (config ?? {}) as {eos_token?: unknown};
  const ids = typeof token === 'string' ? encode(token) : [];
  return ids.length === 1 ? ids : [];
}
