/**
 * The state of a training run as bytes: everything that the next step depends on, so that a run which was stopped and resumed is the
 * same, bit for bit, as one that was not. Weights and moments are stored as TensorFlow.js stores them, in float32.
 */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';
import type {Json} from './data';
import type {NamedTensor} from './moments';

/** Files by name. */
export type CheckpointFiles = Record<string, Uint8Array>;

/** Where checkpoints go: a folder in Node (`folderCheckpoints` of `tfjs-mamba/node`), memory, a database. */
export interface CheckpointTarget {
  /** Keeps these files in place of the last ones, which must stay until these are whole. */
  save(files: CheckpointFiles): Promise<void>;
  /** The last files saved, or undefined if there are none. */
  load(): Promise<CheckpointFiles | undefined>;
}

/** Keeps the last checkpoint in memory. */
export function memoryCheckpoints(): CheckpointTarget {
  let last: CheckpointFiles | undefined;
  return {
    save: async (files) => {
      last = files;
    },
    load: async () => last,
  };
}

/** Where a run is, besides the weights of its model and optimizer. */
export interface Progress {
  /** Finished steps. */
  step: number;
  /** The position of the data, as its iterator gave it. */
  data: Json;
}

interface Description extends Progress {
  format: string;
  version: number;
  model: tf.io.WeightsManifestEntry[];
  optimizer: tf.io.WeightsManifestEntry[];
}

const FORMAT = 'tfjs-mamba training checkpoint';
const VERSION = 1;
const fileNames = {description: 'training.json', model: 'model.bin', optimizer: 'optimizer.bin'};

/** Writes a checkpoint. */
export async function saveCheckpoint(
  target: CheckpointTarget,
  model: tf.LayersModel,
  optimizer: tf.Optimizer,
  progress: Progress,
): Promise<void> {
  const weights = await tf.io.encodeWeights(modelWeights(model));
  const state = await tf.io.encodeWeights(await optimizer.getWeights());
  const description: Description = {
    format: FORMAT,
    version: VERSION,
    ...progress,
    model: weights.specs,
    optimizer: state.specs,
  };
  await target.save({
    [fileNames.description]: new TextEncoder().encode(JSON.stringify(description)),
    [fileNames.model]: new Uint8Array(weights.data),
    [fileNames.optimizer]: new Uint8Array(state.data),
  });
}

/**
 * Fills model and optimizer from the last checkpoint; undefined if there is none.
 *
 * @throws Error, with nothing changed, if the checkpoint is damaged or of another model.
 */
export async function loadCheckpoint(
  target: CheckpointTarget,
  model: tf.LayersModel,
  optimizer: tf.Optimizer,
): Promise<Progress | undefined> {
  const files = await target.load();
  if (files === undefined) {
    return undefined;
  }
  const description = readDescription(files);
  const weights = decode(files, fileNames.model, description.model);
  try {
    checkModel(model, weights);
    const state = decode(files, fileNames.optimizer, description.optimizer);
    try {
      await optimizer.setWeights(state);
    } finally {
      disposeAll(state);
    }
    model.loadWeights(Object.fromEntries(weights.map(({name, tensor}) => [name, tensor])));
  } finally {
    disposeAll(weights);
  }
  const {step, data} = description;
  return {step, data};
}

function modelWeights(model: tf.LayersModel): NamedTensor[] {
  return model.weights.map((weight) => ({name: weight.originalName, tensor: weight.read()}));
}

function disposeAll(tensors: NamedTensor[]): void {
  tf.dispose(tensors.map(({tensor}) => tensor));
}

function readDescription(files: CheckpointFiles): Description {
  const description = parse(fileBytes(files, fileNames.description));
  if (description?.format !== FORMAT) {
    throw new Error(`trainer: ${fileNames.description} of the checkpoint is not of a ${FORMAT}`);
  }
  if (description.version !== VERSION) {
    throw new Error(`trainer: the checkpoint has version ${description.version}, but this release reads ${VERSION}`);
  }
  return description;
}

function parse(bytes: Uint8Array): Description | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Description;
  } catch {
    return undefined;
  }
}

function fileBytes(files: CheckpointFiles, name: string): Uint8Array {
  if (files[name] === undefined) {
    throw new Error(`trainer: the checkpoint has no ${name}`);
  }
  return files[name];
}

/** Tensors of 32-bit numbers, in the order of their descriptions. */
function decode(files: CheckpointFiles, name: string, specs: tf.io.WeightsManifestEntry[]): NamedTensor[] {
  const bytes = fileBytes(files, name);
  const expected = 4 * specs.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape), 0);
  if (bytes.byteLength !== expected) {
    throw new Error(`trainer: ${name} of the checkpoint must have ${expected} bytes, but has ${bytes.byteLength}`);
  }
  const {buffer, byteOffset, byteLength} = bytes;
  const tensors = tf.io.decodeWeights(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer, specs);
  return specs.map((spec) => ({name: spec.name, tensor: tensors[spec.name]}));
}

/** Throws unless the model has exactly these weights. */
function checkModel(model: tf.LayersModel, weights: NamedTensor[]): void {
  const stored = new Map(weights.map(({name, tensor}) => [name, tensor.shape]));
  const other = (why: string) => new Error(`trainer: the checkpoint is of another model: ${why}`);
  for (const {name, tensor} of modelWeights(model)) {
    const shape = stored.get(name);
    if (shape === undefined) throw other(`it has no ${name}`);
    if (!tf.util.arraysEqual(shape, tensor.shape)) {
      throw other(`${name} has shape ${showShape(shape)} there and ${showShape(tensor.shape)} here`);
    }
    stored.delete(name);
  }
  for (const name of stored.keys()) throw other(`it has ${name}, which this one has not`);
}
