/** Adapters: low-rank corrections beside the weights of a model, trained in their place, saved and loaded alone. */
import * as tf from '@tensorflow/tfjs';
import type {CheckpointSource, SourceOptions} from '../checkpoints/source';
import {openSource} from '../checkpoints/source';
import type {SaveHandler} from '../checkpoints/target';
import {openTarget} from '../checkpoints/target';
import {transpose} from '../checkpoints/transpose';
import {MambaLM} from '../lm/model';
import {fanIn, normal, seedFor, zeros} from '../mixers/initializers';
import {columnLengths} from '../mixers/lora';
import {denseValue} from '../mixers/weight';
import {checkKeys, checkSignal, describe} from '../ops/check';
import type {Correction} from './adapter';
import {Adapter, denseVariable} from './adapter';
import type {AdapterInfo, AdapterOptions} from './options';
import {readOptions} from './options';
import type {StoredCorrection} from './peftFiles';
import {readPeft, writePeft} from './peftFiles';
import type {Target} from './targets';
import {findTargets, matricesOf} from './targets';

/**
 * Puts corrections beside weights of a model and freezes the rest: from then on `trainableWeights`, and so the trainer, the optimizer and
 * `fit`, know the corrections alone; compile after it. They start at zero (LoRA, Hu et al. 2021, section 4.1: one factor random, one zero), so
 * the model computes what it did. A tied head has the correction of its embedding.
 *
 * @throws Error naming the option that is wrong, or the target that matches nothing with the names there are; if the model has an adapter.
 */
export function addAdapter(model: MambaLM, options: AdapterOptions = {}): AdapterInfo {
  checkModel('addAdapter', model);
  const {targets, seed, ...settings} = readOptions(options);
  if (model.adapter) throw new Error('addAdapter: the model has an adapter already; removeAdapter takes it off');
  const {rank, alpha, dora} = settings;
  const found = findTargets('addAdapter', model, targets);
  if (options.rank !== undefined) checkRank(rank, found); // the default serves models of any width
  const corrections = found.map((target): Correction => {
    const {path, isTable} = target;
    const [rows, columns] = target.shape;
    const own = seedFor(seed, path);
    const [down, up] = isTable ? [zeros, normal(1)] : [fanIn(rows), zeros]; // as PEFT has them
    return {
      target,
      rank,
      alpha,
      down: down([rows, rank], own),
      up: up([rank, columns], own),
      ...(dora && {magnitude: tf.tidy(() => columnLengths(valueOf(target)))}),
    };
  });
  return new Adapter(model, settings, corrections, seed).info;
}

/** Beyond the larger side of a matrix a rank is a slip: a correction has more numbers than the matrix and can express no more. */
function checkRank(rank: number, targets: readonly Target[]): void {
  const most = Math.max(...targets.map(({shape}) => Math.max(...shape)));
  if (rank <= most) return;
  throw new Error(
    `addAdapter: rank must be at most ${most}, the larger side of the largest matrix to correct, but is ${rank}`,
  );
}

/** How an adapter is loaded: abort, revision, cache, time-out. */
export type LoadAdapterOptions = SourceOptions;

/**
 * Loads an adapter that PEFT or `saveAdapter` saved, in the place of the one that the model has, if any. All corrections of the file count,
 * also those that PEFT's own forward pass goes by (`dt_proj`). It can be trained on.
 *
 * @param source A folder (Node), a URL, a Hub id or an object {name, open(file)}.
 * @throws Error naming the file and what in it does not fit; the model then is as it was.
 */
export async function loadAdapter(
  model: MambaLM,
  source: string | URL | CheckpointSource,
  options: LoadAdapterOptions = {},
): Promise<AdapterInfo> {
  const op = 'loadAdapter';
  checkModel(op, model);
  checkKeys(op, options, ['signal', 'revision', 'cache', 'timeout', 'token']);
  checkSignal(op, options.signal);
  if (typeof source !== 'string' && !(source instanceof URL) && typeof source?.open !== 'function') {
    throw new Error(
      `${op}: source must be a URL, a Hub id, a path or an object {name, open(file)}, but is ${describe(source)}`,
    );
  }
  const folder = await openSource(source, options, op);
  const {settings, corrections} = await readPeft(op, folder, matricesOf(model));
  const before = model.adapter as Adapter | undefined;
  const wasMerged = before?.isMerged ?? false;
  before?.unmerge(); // the weights beneath are compared
  try {
    for (const correction of corrections) await checkBase(folder.name, correction);
  } catch (error) {
    if (wasMerged) before!.merge();
    throw error;
  }
  before?.remove();
  const tensors = corrections.map(({target, rank, alpha, down, up, magnitude}): Correction => {
    const [rows, columns] = target.shape;
    return {
      ...{target, rank, alpha},
      down: tf.tensor2d(down, [rows, rank]),
      up: tf.tensor2d(up, [rank, columns]),
      ...(magnitude && {magnitude: tf.tensor1d(magnitude)}),
    };
  });
  return new Adapter(model, settings, tensors).info;
}

/**
 * Saves the adapter of a model as PEFT does: `adapter_config.json` and `adapter_model.safetensors`, in float32. In a folder they appear
 * together or not at all, and other files there stay.
 *
 * @param target A folder (Node), or an object that takes whole files.
 * @throws Error if the model has no adapter; what was at the target stays if anything fails.
 */
export async function saveAdapter(model: MambaLM, target: string | SaveHandler): Promise<void> {
  const {settings, parts} = adapterOf('saveAdapter', model);
  const place = await openTarget(target, 'saveAdapter');
  try {
    await writePeft(place, settings, parts, matricesOf(model));
    await place.commit();
  } catch (error) {
    await place.discard();
    throw error;
  }
}

/**
 * Puts the corrected weights in the place of the weights, so that the model runs as fast as without an adapter, and `savePretrained` saves
 * it so. The weights before are kept, and `unmergeAdapter` puts them back bit for bit. A merged adapter does not train.
 */
export function mergeAdapter(model: MambaLM): void {
  adapterOf('mergeAdapter', model).merge();
}

/** Undoes `mergeAdapter`. */
export function unmergeAdapter(model: MambaLM): void {
  adapterOf('unmergeAdapter', model).unmerge();
}

/** Takes the adapter off: the model is what it was before, bit for bit, and trains what it trained. */
export function removeAdapter(model: MambaLM): void {
  adapterOf('removeAdapter', model).remove();
}

function checkModel(op: string, model: MambaLM): void {
  if (!(model instanceof MambaLM)) throw new Error(`${op}: model must be a MambaLM, such as fromPretrained gives`);
}

function adapterOf(op: string, model: MambaLM): Adapter {
  checkModel(op, model);
  if (!model.adapter) throw new Error(`${op}: the model has no adapter; addAdapter or loadAdapter gives it one`);
  return model.adapter as Adapter;
}

/** The current value of a matrix. */
function valueOf(target: Target): tf.Tensor {
  const {layer, name, isTable} = target;
  return denseValue(layer.matrices.read(name, denseVariable(target), false), isTable);
}

/** @throws Error if the file has another weight beneath than the model: the adapter is of another model. */
async function checkBase(file: string, {target, base}: StoredCorrection): Promise<void> {
  const variable = denseVariable(target);
  if (!base || !variable) return;
  const values = (await variable.read().data()) as Float32Array;
  const own = target.isTable ? values : transpose(values, ...target.shape);
  if (own.some((value, i) => value !== base[i])) {
    throw new Error(`loadAdapter: ${file} is of another model: its ${target.path}.base_layer.weight differs`);
  }
}

export type {AdapterInfo, AdapterOptions} from './options';
