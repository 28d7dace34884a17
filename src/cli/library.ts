/** The library and its backends, loaded by the commands that compute. */
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Command} from 'commander';
import {Option} from 'commander';
import type * as Node from '../node';
import type {RunFlags} from './flags';
import type {Io} from './io';
import {StatusLine, UsageError} from './io';

/** Everything of `tfjs-mamba/node`. */
export type Library = typeof Node;

/** What `train` makes unless told otherwise, and what other commands take where no model is named. */
export const trainedFolder = 'runs/train';

/** Loads the library and starts a backend. */
export async function startLibrary({backend}: Pick<RunFlags, 'backend'>): Promise<{lib: Library; backend: string}> {
  const tf = await import('@tensorflow/tfjs');
  tf.enableProdMode();
  const lib = await import('../node');
  await import('@tensorflow/tfjs-backend-wasm').catch(() => undefined); // an optional peer
  if (backend === 'auto') return {lib, backend: (await lib.autoBackend()).backend};
  if (tf.findBackendFactory(backend) === null) {
    const how = backend === 'wasm' ? 'npm install @tensorflow/tfjs-backend-wasm' : 'npx tfjs-mamba setup-native';
    throw new UsageError(`--backend ${backend}: it is not installed; ${how}`);
  }
  if (!(await tf.setBackend(backend)))
    throw new Error(`--backend ${backend} does not start; npx tfjs-mamba doctor says more`);
  return {lib, backend};
}

/** Flags that say which model. */
export interface ModelFlags {
  model?: string;
  revision?: string;
  adapterPath?: string;
  weights?: 'float32' | 'bfloat16' | 'int8';
}

/** Adds `--model` and `--revision`. */
export function withModel(command: Command): Command {
  return command
    .option('--model <source>', `a folder, file or URL, or a name on the Hub (${trainedFolder}, if it is there)`)
    .option('--revision <name>', 'branch, tag or commit of a model on the Hub');
}

/** Adds `--weights`, of commands that run a model. */
export function withWeights(command: Command): Command {
  return command.addOption(
    new Option(
      '--weights <form>',
      'how weights are held; int8 takes little more than a quarter of the memory, bfloat16 half (tensorflow alone)',
    )
      .choices(['float32', 'bfloat16', 'int8'])
      .default('float32'),
  );
}

/** Adds `--adapter-path`, of commands that use an adapter. */
export function withAdapter(command: Command): Command {
  return command.option('--adapter-path <folder>', 'an adapter for the model, of finetune or of PEFT');
}

/** The source that the flags name. */
export function modelSource({model}: ModelFlags): string {
  if (model !== undefined) return model;
  if (existsSync(join(trainedFolder, 'config.json'))) return trainedFolder;
  throw new UsageError(
    '--model is missing: a folder, a file, a URL, or a name on the Hub such as state-spaces/mamba-130m-hf',
  );
}

/** Loads a model and, if the flags name one, its adapter, which is merged into weights in floats, so that it costs nothing. */
export async function loadModel(lib: Library, flags: ModelFlags, io: Io): Promise<Node.MambaLM> {
  const model = await loadBase(lib, flags, io);
  if (flags.adapterPath === undefined) return model;
  try {
    await lib.loadAdapter(model, flags.adapterPath, {signal: io.signal, cache: true});
    if ((flags.weights ?? 'float32') === 'float32') lib.mergeAdapter(model);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** A published checkpoint, or a LayersModel that `convert` or `model.save` wrote. */
export async function loadBase(lib: Library, flags: ModelFlags, io: Io): Promise<Node.MambaLM> {
  const source = modelSource(flags);
  if (existsSync(join(source, 'model.json'))) return loadLayersModel(lib, source);
  const line = new StatusLine(io);
  try {
    return await lib.fromPretrained(source, {
      revision: flags.revision,
      weights: flags.weights,
      cache: true,
      signal: io.signal,
      onProgress: ({loadedBytes, totalBytes}) =>
        line.show(
          `loading ${source}: ${Math.floor((100 * loadedBytes) / totalBytes)} % of ${Math.ceil(totalBytes / 1e6)} MB`,
        ),
    });
  } finally {
    line.end();
  }
}

async function loadLayersModel(lib: Library, folder: string): Promise<Node.MambaLM> {
  const {loadFolder} = await import('./layersModel');
  const model = await loadFolder(folder);
  if (!(model instanceof lib.MambaLM)) throw new Error(`${folder}/model.json is no language model of this package`);
  const tokenizer = join(folder, 'tokenizer.json');
  if (existsSync(tokenizer)) model.tokenizer = await lib.loadTokenizer(JSON.parse(await readFile(tokenizer, 'utf8')));
  return model;
}
