/** Published checkpoints: in, and out again. */
import * as tf from '@tensorflow/tfjs';
import {uploadNow} from '../backends/traits';
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
import {hasHalves} from '../ops/halves/has';
import {checkFits} from './memory';
import {MambaLM} from './model';
import type {HalfMatrix} from './packing';
import {PackedMatrix} from './packing';
import {tokenizerOf} from './tokenizers';
import {readBlocks, readWeight} from './weightValues';

/** How a checkpoint is loaded: progress, abort, revision, cache, time-out, and in what form the weights are held. */
export interface FromPretrainedOptions extends LoadOptions {
  /**
   * 'int8' holds matrices in 8 bits and a scale for each 32 of them (GGUF's Q8_0), in little more than a quarter of the memory, and computes
   * with them in float32; what 32 does not divide, and all that is no matrix, stays in floats. Such a model trains an adapter, or what it has
   * in floats. 'bfloat16' halves the memory of all matrices, for the backend `tensorflow` on a CPU with the native library, which computes with
   * them in float32; elsewhere it is an error. 'float32' unless given.
   */
  weights?: 'float32' | 'bfloat16' | 'int8';
}

/**
 * Loads a checkpoint in the Hugging Face layout (Mamba, FalconMamba, Mamba-2) or the original one of state-spaces, in safetensors (also
 * sharded) or `pytorch_model.bin`, in float32, float16 or bfloat16; computation is in float32.
 *
 * Or a GGUF file of Mamba, as llama.cpp's converter writes it, in F32, F16, BF16, Q8_0, Q4_0, Q4_K or Q6_K: named itself, not by its folder.
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
  checkKeys('fromPretrained', options, ['onProgress', 'signal', 'revision', 'cache', 'timeout', 'token', 'weights']);
  const {weights: held = 'float32'} = options;
  checkOneOf('fromPretrained', 'weights', held, ['float32', 'bfloat16', 'int8']);
  const bits = bitsOf[held];
  if (bits === 16 && !hasHalves()) {
    throw new Error(
      `fromPretrained: weights 'bfloat16' need the backend tensorflow on a CPU and the native library, but the backend is ${tf.getBackend()}; ` +
        "'int8' and 'float32' run on any",
    );
  }
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
    const bytes = bits === 8 ? PACKED_BYTES : bits === 16 ? 2 : 4;
    checkFits('fromPretrained', bytes * countParameters(config), bytes * largestWeight(config));
  });
  const tokenizer = await findTokenizer(folder, signal);
  const model = new MambaLM(checkpoint.config, {empty: true, bits});
  try {
    const weights = model.weightsByName();
    const packed = (name: string) => model.packing?.get(name);
    for await (const weight of checkpoint.weights((name) => packed(name) instanceof PackedMatrix)) {
      const matrix = packed(weight.name);
      if ('blocks' in weight) (matrix as PackedMatrix).write(weight.blocks);
      else if (matrix) (matrix as HalfMatrix).write(weight.values);
      else {
        tf.tidy(() => {
          const tensor = tf.tensor(weight.values, weight.shape, 'float32');
          uploadNow(tensor);
          weights.get(weight.name)!.write(tensor);
        });
      }
    }
    return Object.assign(model, tokenizer);
  } catch (error) {
    model.dispose();
    throw error;
  }
}

const bitsOf = {float32: undefined, bfloat16: 16, int8: 8} as const;

/** Bytes of a value of a packed matrix, most of a model: an integer and its share of a scale. */
const PACKED_BYTES = 1 + 4 / 32;

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
  if (model.adapter && !model.adapter.isMerged) {
    throw new Error(
      'savePretrained: the model has an adapter; mergeAdapter puts it into the weights, removeAdapter takes it off, saveAdapter saves it alone',
    );
  }
  if (options.layout !== undefined)
    checkOneOf('savePretrained', 'layout', options.layout, ['huggingface', 'state-spaces']);
  const {dtype = model.packing?.bits === 8 ? 'int8' : 'float32'} = options;
  const floats = (name: string) => readWeight(model, name);
  const blocks = (name: string) => readBlocks(model, name);
  const {tokenizer, tokenizerFiles} = model;
  const files = tokenizer ? {tokenizer: tokenizer.toJSON(), config: tokenizer.config} : tokenizerFiles;
  await writeCheckpoint(model.config, floats, target, {...options, dtype}, files, blocks);
}
