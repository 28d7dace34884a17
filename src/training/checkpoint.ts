/**
 * The state of a training run, kept and taken up again: everything that the next step depends on, so that a run which was stopped and
 * resumed is the same, bit for bit, as one that was not. Weights and moments are kept in float32.
 */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';
import type {CheckpointFiles, Progress, StoredArray, StoredRun} from './checkpointFiles';
import {brokenPlace, decodeRun, encodeRun} from './checkpointFiles';
import type {NamedTensor} from './moments';
import type {Shards} from './sharding';

export type {CheckpointFiles} from './checkpointFiles';

/** Where checkpoints go: a folder in Node (`folderCheckpoints` of `tfjs-mamba/node`), memory, a database. */
export interface TrainingStore {
  /** Keeps these files in place of the last ones, which must stay until these are whole. */
  save(files: CheckpointFiles): Promise<void>;
  /** The last files saved, or undefined if there are none. */
  load(): Promise<CheckpointFiles | undefined>;
  /** Asked before the first step, so that a run does not find out at its first checkpoint: rejects if nothing could be saved. */
  prepare?(): Promise<void>;
}

/** The earlier name of {@link TrainingStore}. */
export type CheckpointTarget = TrainingStore;

/** Keeps the last checkpoint in memory. */
export function memoryCheckpoints(): TrainingStore {
  let last: CheckpointFiles | undefined;
  return {
    save: async (files) => {
      last = files;
    },
    load: async () => last,
  };
}

/**
 * Writes a checkpoint.
 *
 * @param carried What the trainer holds besides.
 * @param whole What the optimizer keeps, where each rank has but a part of it.
 * @throws Error, with the checkpoint before still in its place, if a weight or the optimizer holds NaN or an infinity.
 */
export async function saveCheckpoint(
  store: TrainingStore,
  model: tf.LayersModel,
  optimizer: tf.Optimizer,
  progress: Progress,
  carried: NamedTensor[],
  whole?: NamedTensor[],
): Promise<void> {
  const {step} = progress;
  if (progress.data === undefined) {
    throw new Error(
      "trainer: state() of the dataset's iterator must give something that JSON can hold, but gave undefined",
    );
  }
  const weights = await readAll(modelWeights(model), step);
  const state = whole ?? (await optimizer.getWeights());
  try {
    const run = {
      ...progress,
      optimizerKind: optimizer.getClassName(),
      model: weights,
      optimizer: await readAll(state, step),
      trainer: await readAll(carried, step),
    };
    await store.save(await encodeRun(run));
  } finally {
    // TensorFlow.js's own optimizers make this one anew at every call, and leave it to nobody.
    tf.dispose(state.filter(({name}) => name === 'iter').map(({tensor}) => tensor));
  }
}

/**
 * The last checkpoint, if it is one of this model; undefined if there is none. Changes nothing.
 *
 * @throws Error if the checkpoint is damaged or of another model.
 */
export async function readCheckpoint(store: TrainingStore, model: tf.LayersModel): Promise<StoredRun | undefined> {
  const files = await store.load();
  if (files === undefined || files === null) {
    return undefined;
  }
  const run = await decodeRun(files);
  checkModel(model, run.model);
  return run;
}

/** Fills model and optimizer from a checkpoint; with `shards`, only that part of the optimizer which this rank keeps. */
export async function takeUp(
  run: StoredRun,
  model: tf.LayersModel,
  optimizer: tf.Optimizer,
  shards?: Shards,
): Promise<void> {
  const kind = optimizer.getClassName();
  // Those of TensorFlow.js take whatever they are given. Of what names none, AdamW's is known by its counts.
  const was = run.optimizerKind ?? (run.optimizer.at(1)?.name === 'steps' ? 'AdamW' : kind);
  if (was !== kind)
    throw new Error(`trainer: the checkpoint is of another optimizer: of ${was}, but this one is ${kind}`);
  const own = shards?.part(run.optimizer, (steps, keep) => {
    const values = Int32Array.from(steps.values).filter((_, i) => keep[i]);
    return {...steps, shape: [values.length], values};
  });
  const state = toTensors(own ?? run.optimizer);
  try {
    await optimizer.setWeights(state);
  } finally {
    disposeAll(state);
  }
  loadWeights(model, run.model);
}

/** What the names of carried states and of means of weights begin with. */
export const CARRIED = 'carried/';
export const AVERAGE = 'average/';

/** Names with something in front. */
export function prefixed(prefix: string, tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors.map(({name, tensor}) => ({name: prefix + name, tensor}));
}

/** Those whose names have it in front, without it. */
export function withPrefix<T extends {name: string}>(prefix: string, items: readonly T[] = []): T[] {
  return items
    .filter(({name}) => name.startsWith(prefix))
    .map((item) => ({...item, name: item.name.slice(prefix.length)}));
}

/**
 * Fills a model with the weights of the last checkpoint in a store, such as the best of a run; where the run kept a mean of the weights,
 * with that.
 *
 * @returns The step it is of.
 * @throws Error if there is none, or it is damaged or of another model, which then stays as it is.
 */
export async function loadCheckpoint(store: TrainingStore, model: tf.LayersModel): Promise<{step: number}> {
  if (typeof (store as Partial<TrainingStore> | undefined)?.load !== 'function') {
    throw new Error('loadCheckpoint: store must have load(), as folderCheckpoints and browserCheckpoints give');
  }
  if (!(model instanceof tf.LayersModel)) throw new Error('loadCheckpoint: model must be a tf.LayersModel');
  const run = await readCheckpoint(store, model);
  if (run === undefined) throw new Error('loadCheckpoint: the store has no checkpoint');
  const means = new Map(withPrefix(AVERAGE, run.trainer).map((mean) => [mean.name, mean]));
  loadWeights(
    model,
    run.model.map((weight) => means.get(weight.name) ?? weight),
  );
  return {step: run.step};
}

function loadWeights(model: tf.LayersModel, arrays: readonly StoredArray[]): void {
  const weights = toTensors(arrays);
  try {
    const isStrict = !hasAdapter(model); // readCheckpoint has found every name
    model.loadWeights(Object.fromEntries(weights.map(({name, tensor}) => [name, tensor])), isStrict);
  } finally {
    disposeAll(weights);
  }
}

/** Of a model with an adapter that is the adapter: what is beneath does not change, and is where the model was loaded from. */
function modelWeights(model: tf.LayersModel): NamedTensor[] {
  const weights = hasAdapter(model) ? model.trainableWeights : model.weights;
  return weights.map((weight) => ({name: weight.originalName, tensor: weight.read()}));
}

function hasAdapter(model: tf.LayersModel & {adapter?: object}): boolean {
  return model.adapter !== undefined;
}

async function readAll(tensors: NamedTensor[], step: number): Promise<StoredArray[]> {
  const arrays: StoredArray[] = [];
  for (const {name, tensor} of tensors) {
    const {shape, dtype} = tensor;
    if (dtype !== 'float32' && dtype !== 'int32') {
      throw new Error(`trainer: a checkpoint holds float32 and int32, but ${name} is ${dtype}`);
    }
    const values = await tensor.data<'float32' | 'int32'>();
    const broken = brokenPlace(values);
    if (broken >= 0) {
      throw new Error(
        `trainer: after step ${step} ${name} has ${values[broken]} at ${broken}, so it is not saved and the checkpoint before stays; ` +
          'a lower learning rate, a longer warm-up or clipNorm may help',
      );
    }
    arrays.push({name, shape: [...shape], dtype, values});
  }
  return arrays;
}

/** As tensors of the caller's. */
export function toTensors(arrays: readonly StoredArray[]): NamedTensor[] {
  return tf.tidy(() =>
    arrays.map(({name, values, shape, dtype}) => ({name, tensor: tf.tensor<tf.Rank>(values, shape, dtype)})),
  );
}

/** Disposes the tensors. */
export function disposeAll(tensors: NamedTensor[]): void {
  tf.dispose(tensors.map(({tensor}) => tensor));
}

/** Throws unless the model has exactly these weights. */
function checkModel(model: tf.LayersModel, weights: readonly StoredArray[]): void {
  const stored = new Map(weights.map(({name, shape}) => [name, shape]));
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
