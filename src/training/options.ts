/** What the trainer takes and tells. */
import type * as tf from '@tensorflow/tfjs';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkBoolean, checkKeys, checkSignal, describe} from '../ops/check';
import type {Cluster} from '../cluster/cluster';
import {AdamW} from './adamW';
import {sequenceLayers} from './carried';
import type {TrainingStore} from './checkpoint';
import type {BatchDataset} from './data';
import type {Objective, Run} from './gradients';
import {checkRelay} from './relay';

/** The options of {@link trainer}. */
export interface TrainerOptions {
  optimizer: tf.Optimizer;
  /** The norm of all gradients together is scaled down to this where it is larger. An AdamW's own clipNorm unless given. */
  clipNorm?: number;
  /** The number of batches whose gradients make one step; as one big batch, whatever their sizes. 1 unless given. */
  gradientAccumulation?: number;
  /**
   * The mean loss of a batch from its labels and the model's outputs. Unless given, that of a language model: cross entropy of
   * logits [B,L,V] over the int32 labels [B,L] that are not -100, summed in float64 on cpu and wasm.
   *
   * In a loss of your own, mind two things that TensorFlow.js 4.22 does on wasm: `mean` and `sum` run on in one float32, so that the
   * mean of five million 0.1 is 0.0957 (parts first, `x.mean(-1).mean()`, keeps three digits and more); and `minimum(a, b)`,
   * `maximum(a, b)` and `clipByValue` lose a NaN that is in b or is clipped, so that a run gone wrong looks sound
   * (`tf.where(a.less(b), a, b)` keeps one that is in b).
   */
  loss?: Objective['loss'];
  /** The number of things that the mean in `loss` runs over; the rows of the batch unless given. A scalar. */
  count?: Objective['count'];
  /**
   * Whether to keep only the input of each block for the gradient, and to run the block once more on the way back: far less memory for
   * about a third more time, and the same gradients bit for bit. Of layers of this package.
   */
  gradCheckpoint?: boolean;
  /**
   * Truncated back-propagation: whether each batch goes on from the states that the batch before ended with, as `order: 'continuous'` of
   * `tokenWindows` has it, so that rows are as long as the text in the memory of one segment. No gradient goes back into the batch before.
   * A checkpoint holds the states; validation begins from none.
   */
  stateful?: boolean;
  /**
   * Keeps a running mean of the weights, of which each step leaves this share (less in the first steps). Validation is of the mean, and
   * `averaged` of the trainer runs what is to be done with it; checkpoints hold it.
   */
  emaDecay?: number;
  /**
   * Trains together with the other processes of a cluster (`joinCluster` of `tfjs-mamba/node`): each takes its rows of every batch, and
   * the step is that of the whole batch on all of them. All must be given the same dataset, with the same seed, and the same options; if
   * all have a `signal`, one stops all. They start from the weights of rank 0, which alone writes checkpoints, and sends the others
   * the one that it goes on from. Validation is not divided: each computes all of it.
   */
  cluster?: Cluster;
  /**
   * Whether each rank of the cluster takes its stretch of every row in place of its rows: for sequences that are longer than the memory of
   * one. States are handed on from rank to rank and their gradients back, row after row, so that with at least as many rows as ranks most
   * are at work most of the time. A stretch is run twice forward. For layers of this package that run forwards, without dropout; any other
   * layer that looks along the sequence sees its stretch alone. The loss is that of a language model.
   */
  sequenceParallel?: boolean;
  /**
   * Whether each rank of the cluster keeps the moments of its part of the weights alone (ZeRO-1), for adamW. The steps are the same; a
   * checkpoint holds all, and can be gone on from by another number of ranks.
   */
  shardOptimizer?: boolean;
}

/** What is known after a step. */
export interface StepReport {
  /** Counted from 1. */
  step: number;
  /** The mean loss of the step's batches, before the update. */
  loss: number;
  /** Before clipping. */
  gradientNorm: number;
  /** Undefined if the optimizer does not tell. */
  learningRate: number | undefined;
  /** Labels per second since the last report. */
  tokensPerSecond: number;
}

/** A loss over a dataset, in nats where it is a cross entropy, and e to the power of it. */
export interface Evaluation {
  loss: number;
  perplexity: number;
}

/** Called between steps; the loop waits for them. */
export interface TrainerCallbacks {
  /** After every `reportEvery` steps. */
  onStep?: (report: StepReport) => unknown;
  /** After every validation. */
  onValidation?: (result: Evaluation & {step: number}) => unknown;
  /** After every checkpoint, when it is whole. */
  onCheckpoint?: (progress: {step: number}) => unknown;
}

/** The options of {@link Trainer.fit}. */
export interface FitOptions {
  /** Training ends after this step, counted from the very first run; steps that a checkpoint has already count. */
  steps: number;
  callbacks?: TrainerCallbacks;
  /** A report is made every so many steps, and at `steps`: each waits for the device. 1 unless given. */
  reportEvery?: number;
  /** 1 writes a line of progress with every report, 0 none; unless given, there is one in a terminal. */
  verbose?: 0 | 1;
  /**
   * A loss over other data, every so many steps and at `steps`; over the first `batches` of it if given. `best` keeps a checkpoint of the
   * lowest loss, which `loadCheckpoint` fills a model with; after `patience` validations in a row that are not lower, training ends.
   */
  validation?: {dataset: BatchDataset; every: number; batches?: number; best?: TrainingStore; patience?: number};
  /** Goes on from the target's last checkpoint if it has one; saves every so many steps if `every` is given, and at the end. */
  checkpoint?: {target: TrainingStore; every?: number};
  /** Aborting it ends training after the step at hand, with a checkpoint. */
  signal?: AbortSignal;
}

/** How {@link Trainer.fit} ended. */
export interface FitResult {
  /** The last finished step. */
  step: number;
  /** Why there was no further one. */
  ended: 'steps' | 'data' | 'aborted' | 'patience';
  /** The last report, if there was one. */
  report?: StepReport;
  /** The last validation, if there was one. */
  validation?: Evaluation;
  /** The step of the lowest validation loss, and the loss, if there was one. */
  best?: {step: number; loss: number};
}

const OP = 'trainer';

/** Throws unless it is what joinCluster gives. */
export function checkCluster(cluster: unknown): void {
  const {rank, size, allReduce, sumAll, broadcast, allGather, barrier} = Object(cluster) as Partial<Cluster>;
  const isOne = [allReduce, sumAll, broadcast, allGather, barrier].every((call) => typeof call === 'function');
  if (!isOne || !Number.isInteger(rank) || !Number.isInteger(size)) {
    throw new Error(`${OP}: cluster must be what joinCluster of tfjs-mamba/node gives`);
  }
}

/** Throws unless the model can be run so. */
export function checkRun(model: tf.LayersModel, run: Run, cluster: Cluster | undefined): void {
  for (const name of ['gradCheckpoint', 'stateful'] as const) {
    checkBoolean(OP, name, run[name]);
    if (run[name] && sequenceLayers(model).length === 0) {
      throw new Error(`${OP}: ${name} is for models with layers of tfjs-mamba, but this one has none`);
    }
  }
  if (run.stateful && cluster) throw new Error(`${OP}: stateful does not go with a cluster`);
}

/** Throws if matrices of few bits would stay as they are while the rest trains. */
export function checkTrains(model: tf.LayersModel & {adapter?: object}): void {
  const isPacked = sequenceLayers(model).some(({matrices}) => !matrices.areDense);
  if (isPacked && model.adapter === undefined) {
    throw new Error(
      `${OP}: model must have weights in floats, but its matrices are in 8 bits, which do not train; addAdapter trains corrections beside them`,
    );
  }
}

/** Throws unless what the ranks of a cluster divide among them can be divided. */
export function checkDivision(
  model: tf.LayersModel,
  {cluster, sequenceParallel, shardOptimizer, optimizer, loss, gradCheckpoint}: TrainerOptions,
): void {
  for (const [name, value] of Object.entries({sequenceParallel, shardOptimizer})) {
    if (value !== undefined) checkBoolean(OP, name, value);
    if (value && !cluster) throw new Error(`${OP}: ${name} is for a cluster, which is missing`);
  }
  if (shardOptimizer && !(optimizer instanceof AdamW)) {
    throw new Error(`${OP}: shardOptimizer needs an optimizer made by adamW, but is given ${optimizer.getClassName()}`);
  }
  if (!sequenceParallel) return;
  if (loss) throw new Error(`${OP}: sequenceParallel is for the loss of a language model, but another loss is given`);
  if (gradCheckpoint)
    throw new Error(`${OP}: sequenceParallel runs each stretch once more as it is, without gradCheckpoint`);
  checkRelay(model);
}

/** Throws, naming the argument, if something in the arguments of {@link Trainer.fit} is wrong. */
export function checkFit(dataset: BatchDataset, options: FitOptions): void {
  checkDataset('dataset', dataset);
  const names = ['steps', 'callbacks', 'reportEvery', 'validation', 'checkpoint', 'signal', 'verbose'];
  checkKeys(OP, options, names, {epochs: 'steps', max_steps: 'steps'});
  const {steps, callbacks, reportEvery = 1, validation, checkpoint, signal, verbose} = options;
  if (verbose !== undefined && verbose !== 0 && verbose !== 1) {
    throw new Error(`${OP}: verbose must be 0 or 1, but is ${describe(verbose)}`);
  }
  checkNumber(OP, 'steps', steps, 'positiveCount');
  checkNumber(OP, 'reportEvery', reportEvery, 'positiveCount');
  checkSignal(OP, signal);
  if (callbacks !== undefined) {
    checkKeys(`${OP}: callbacks`, callbacks, ['onStep', 'onValidation', 'onCheckpoint']);
    for (const [name, callback] of Object.entries(callbacks) as [string, unknown][]) {
      if (callback !== undefined && typeof callback !== 'function') {
        throw new Error(`${OP}: callbacks.${name} must be a function, but is ${describe(callback)}`);
      }
    }
  }
  if (validation !== undefined) {
    checkNumber(OP, 'validation.every', validation?.every, 'positiveCount');
    if (validation.batches !== undefined) checkNumber(OP, 'validation.batches', validation.batches, 'positiveCount');
    checkDataset('validation.dataset', validation.dataset);
    if (validation.patience !== undefined) checkNumber(OP, 'validation.patience', validation.patience, 'positiveCount');
    if (validation.best !== undefined) checkStore('validation.best', validation.best);
  }
  if (checkpoint !== undefined) {
    if (typeof checkpoint === 'string') {
      const given = describe(checkpoint);
      throw new Error(
        `${OP}: checkpoint must be {target, every}, but is ${given}; target: folderCheckpoints(${given})`,
      );
    }
    checkStore('checkpoint.target', checkpoint?.target);
    if (checkpoint.every !== undefined) checkNumber(OP, 'checkpoint.every', checkpoint.every, 'positiveCount');
  }
}

function checkStore(name: string, store: Partial<TrainingStore> | undefined): void {
  if (typeof store?.save !== 'function' || typeof store.load !== 'function') {
    throw new Error(`${OP}: ${name} must have save(files) and load()`);
  }
}

/** Throws, naming the argument, unless it can be asked for batches. */
export function checkDataset(name: string, dataset: BatchDataset): void {
  if (typeof dataset?.iterator !== 'function') {
    throw new Error(`${OP}: ${name} must have an iterator(), as tokenWindows and tf.data.Dataset have`);
  }
}
