/** Published checkpoints: in, and out again. */
import * as tf from '@tensorflow/tfjs';
import type {LoadOptions} from '../checkpoints/load';
import {readCheckpoint} from '../checkpoints/load';
import type {SaveOptions} from '../checkpoints/save';
import {writeCheckpoint} from '../checkpoints/save';
import type {CheckpointSource} from '../checkpoints/source';
import {openSource} from '../checkpoints/source';
import type {SaveHandler} from '../checkpoints/target';
import type {TokenizerFiles} from '../checkpoints/tokenizerFiles';
import {readTokenizerFiles} from '../checkpoints/tokenizerFiles';
import {checkKeys, checkOneOf, checkSignal, describe} from '../ops/check';
import {countParameters, largestWeight} from '../config/weightTable';
import {checkFits} from './memory';
import {MambaLM} from './model';
import {tokenizerOf} from './tokenizers';

/** How a checkpoint is loaded: progress, abort, revision, cache, time-out. */
export type FromPretrainedOptions = LoadOptions;

/**
 * Loads a checkpoint in the Hugging Face layout (Mamba, FalconMamba, Mamba-2) or the original one of state-spaces, in safetensors (also
 * sharded) or `pytorch_model.bin`, in float32, float16 or bfloat16; computation is in float32.
 *
 * A `tokenizer.json` beside the model, and its `tokenizer_config.json`, become `model.tokenizer`, so that `generate` takes text. If it
 * cannot be used, the model is loaded all the same, and `generate` says why once it is given a text.
 *
 * What is odd but changes no number, such as ids beyond the vocabulary, is passed over with a warning that names the file.
 *
 * Downloads: what breaks off or is refused for a moment is asked for again, from the byte it had come to, and a server may be
 * silent for `timeout` milliseconds; no message has the query of a URL in it, where signatures are.
 *
 * @param source A URL, as text or `new URL('./model/', import.meta.url)`, or a Hub id; in Node also a folder or file. Links in a folder are followed wherever they lead, because
 *   Hugging Face's own cache is made of them; an index of shards can name no file outside the folder.
 * @throws Error naming the file and what is wrong with it; no model, and no tensor, is left behind.
 */
export async function fromPretrained(
  source: string | URL | CheckpointSource,
  options: FromPretrainedOptions = {},
): Promise<MambaLM> {
  checkKeys('fromPretrained', options, ['onProgress', 'signal', 'revision', 'cache', 'timeout']);
  checkSignal('fromPretrained', options.signal);
  if (typeof source !== 'string' && !(source instanceof URL) && typeof source?.open !== 'function') {
    throw new Error(
      `fromPretrained: source must be a URL, a Hub id, a path or an object {name, open(file)}, but is ${describe(source)}`,
    );
  }
  const folder = await openSource(source, options);
  // The folder is open: where it was and how it is kept is settled.
  const {onProgress, signal} = options;
  const checkpoint = await readCheckpoint(folder, {onProgress, signal}, (config) => {
    checkFits('fromPretrained', 4 * countParameters(config), 4 * largestWeight(config));
  });
  const tokenizer = await findTokenizer(folder, signal);
  const model = new MambaLM(checkpoint.config, {empty: true});
  try {
    const weights = model.weightsByName();
    for await (const {name, shape, values} of checkpoint.weights()) {
      tf.tidy(() => {
        weights.get(name)!.write(tf.tensor(values, shape, 'float32'));
      });
    }
    return Object.assign(model, tokenizer);
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The tokenizer of a checkpoint. */
async function findTokenizer(
  folder: CheckpointSource,
  signal: AbortSignal | undefined,
): Promise<Pick<MambaLM, 'tokenizer' | 'tokenizerFault' | 'tokenizerFiles'>> {
  let tokenizerFiles: TokenizerFiles | undefined;
  try {
    tokenizerFiles = await readTokenizerFiles(folder, {named: false});
    return tokenizerFiles ? {tokenizer: await tokenizerOf(tokenizerFiles)} : {};
  } catch (error) {
    signal?.throwIfAborted();
    return {tokenizerFault: error as Error, tokenizerFiles};
  }
}

/** How a checkpoint is saved: dtype, size of shards, abort. */
export type SavePretrainedOptions = SaveOptions;

/**
 * Saves a model in the Hugging Face layout: `config.json` and safetensors, sharded if large; and `tokenizer.json` with its
 * `tokenizer_config.json`, if the model has a tokenizer.
 *
 * @param target A folder (Node), or an object that takes whole files.
 * @throws Error naming the option or the file that is wrong; what was at the target then stays.
 */
export async function savePretrained(
  model: MambaLM,
  target: string | SaveHandler,
  options: SavePretrainedOptions = {},
): Promise<void> {
  if (!(model instanceof MambaLM)) {
    throw new Error('savePretrained: model must be a MambaLM, such as mambaLM makes');
  }
  checkKeys('savePretrained', options, ['dtype', 'maxShardBytes', 'layout', 'signal']);
  checkSignal('savePretrained', options.signal);
  if (!model.isDense) {
    throw new Error(
      'savePretrained: the model has an adapter; mergeAdapter puts it into the weights, removeAdapter takes it off, saveAdapter saves it alone',
    );
  }
  if (options.layout !== undefined)
    checkOneOf('savePretrained', 'layout', options.layout, ['huggingface', 'state-spaces']);
  const weights = model.weightsByName();
  const read = async (name: string) => (await weights.get(name)!.read().data()) as Float32Array;
  const {tokenizer, tokenizerFiles} = model;
  const files = tokenizer ? {tokenizer: tokenizer.toJSON(), config: tokenizer.config} : tokenizerFiles;
  await writeCheckpoint(model.config, read, target, options, files);
}
