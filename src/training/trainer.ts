/**
 * The training loop: gradient accumulation, clipping, progress, validation, checkpoints that a later run goes on from exactly, and
 * a clean stop. It reads back only what it reports.
 */
import * as tf from '@tensorflow/tfjs';
import {clipScale, globalNorm} from '../ops/adamW';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkKeys, describe} from '../ops/check';
import type {Cluster} from '../cluster/cluster';
import {AdamW} from './adamW';
import {agree, agreeOnData} from './agreement';
import {WeightAverage} from './average';
import {disposeBatches, openIterator, take} from './batches';
import {Best} from './best';
import {anyRank, byFirst, numberOfFirst, sameWeights, sharedCheckpoints, sumOverRanks, sumsOfShares} from './cluster';
import {carriedStates, resetCarried, restoreCarried} from './carried';
import type {TrainingStore} from './checkpoint';
import {
  AVERAGE,
  CARRIED,
  disposeAll,
  prefixed,
  readCheckpoint,
  saveCheckpoint,
  takeUp,
  toTensors,
  withPrefix,
} from './checkpoint';
import type {StoredRun} from './checkpointFiles';
import type {Batch, BatchDataset, TokenWindows} from './data';
import {restoreDraws, storedDraws} from './draws';
import type {Objective, Run, StepGradients} from './gradients';
import {asMeans, batchLoss, countRows, nextToken, stepGradients} from './gradients';
import type {Evaluation, FitOptions, FitResult, StepReport, TrainerOptions} from './options';
import {checkCluster, checkDataset, checkDivision, checkFit, checkRun, checkTrains} from './options';
import type {NamedTensor} from './moments';
import {macrotask} from '../macrotask';
import {stepOnTheWay} from './onTheWay';
import {lossesNow, relaySums} from './relay';
import {Shards} from './sharding';
import {Clock} from './pace';
import {ProgressLine, terminal} from './progressLine';

const OP = 'trainer';

/** Options that the error about an unknown one does not list. */
const rare = ['cluster', 'sequenceParallel', 'shardOptimizer', 'gradCheckpoint', 'stateful', 'emaDecay'];

/** The models and optimizers that a fit is at work on: a second one would change them in between its steps. */
const atWork = new WeakSet<object>();

/** Mean loss and gradient norm of a step, still on the device. */
type StepScalars = Record<'loss' | 'norm', tf.Scalar>;

/** See {@link trainer}. */
export class Trainer {
  /** Finished steps. */
  step = 0;
  private readonly optimizer: tf.Optimizer;
  private readonly clipNorm: number | undefined;
  private readonly gradientAccumulation: number;
  private readonly objective: Objective;
  private readonly cluster: Cluster | undefined;
  private readonly sequenceParallel: boolean;
  private readonly shards: Shards | undefined;
  private readonly how: Run;
  private readonly average: WeightAverage | undefined;
  private readonly best = new Best();
  /** The step of the last checkpoint of the fit at work, if it keeps any; -1 before the first. */
  private kept?: number;

  constructor(
    readonly model: tf.LayersModel,
    options: TrainerOptions,
  ) {
    if (!(model instanceof tf.LayersModel)) {
      throw new Error(`${OP}: model must be a tf.LayersModel`);
    }
    checkKeys(OP, options, [
      ...['optimizer', 'clipNorm', 'gradientAccumulation', 'loss', 'count'],
      ...rare.filter((name) => name in Object(options)),
    ]);
    const {
      optimizer,
      gradientAccumulation = 1,
      loss,
      count,
      cluster,
      gradCheckpoint = false,
      stateful = false,
      emaDecay,
      sequenceParallel = false,
      shardOptimizer = false,
    } = options;
    if (!optimizer || !(optimizer instanceof tf.Optimizer)) {
      throw new Error(`${OP}: optimizer must be a tf.Optimizer, such as adamW makes`);
    }
    const clipNorm = options.clipNorm ?? (optimizer instanceof AdamW ? optimizer.clipNorm : undefined);
    if (clipNorm !== undefined) checkNumber(OP, 'clipNorm', clipNorm, 'positive');
    checkNumber(OP, 'gradientAccumulation', gradientAccumulation, 'positiveCount');
    if (count !== undefined && loss === undefined) {
      throw new Error(`${OP}: count belongs to loss, which is missing`);
    }
    if (cluster !== undefined) checkCluster(cluster);
    this.optimizer = optimizer;
    this.clipNorm = clipNorm;
    this.gradientAccumulation = gradientAccumulation;
    this.objective = loss === undefined ? nextToken : {loss, count: count ?? countRows};
    this.cluster = cluster;
    checkRun(model, {gradCheckpoint, stateful}, cluster);
    checkDivision(model, options);
    this.sequenceParallel = sequenceParallel;
    if (shardOptimizer) this.shards = new Shards(model, optimizer, cluster!);
    if (emaDecay !== undefined) {
      if (!(typeof emaDecay === 'number' && emaDecay >= 0 && emaDecay < 1)) {
        throw new Error(`${OP}: emaDecay must be a number of at least 0 and below 1, but is ${describe(emaDecay)}`);
      }
      this.average = new WeightAverage(model, emaDecay);
    }
    this.how = {gradCheckpoint, stateful: stateful || undefined}; // a layer made stateful stays so
  }

  /**
   * Trains until `steps`, the end of the data, or an abort. With a checkpoint, stopping and resuming any number of times gives the
   * same weights as never having stopped: bit for bit on backends whose kernels are deterministic, provided that no layer but this
   * package's draws random numbers and the dataset's iterator can tell its state. Dropout of this package's layers goes on where it was.
   *
   * A checkpoint takes the place of the one before only when its weights are finite and give a finite loss on the batches of its last
   * step, for which they are run once more, forward. If something throws, no tensor stays but the weights and what the optimizer keeps.
   *
   * @throws Error naming the option that is wrong, if a loss is not a finite number (also in a validation, and that of the weights in the
   *   end), or while another fit of this model or optimizer is at work.
   */
  async fit(dataset: BatchDataset, options: FitOptions): Promise<FitResult> {
    checkFit(dataset, options);
    if (this.model.trainableWeights.length === 0) {
      throw new Error(`${OP}: model must have weights to train, but all are frozen or beneath a merged adapter`);
    }
    if (this.how.stateful && (dataset as Partial<TokenWindows>).isContinuous === false) {
      throw new Error(
        `${OP}: stateful carries states from batch to batch, so each row must go on where the last ended, as those of tokenWindows ` +
          "with order 'continuous' do, but dataset has rows that do not",
      );
    }
    checkTrains(this.model);
    const mine = [this.model, this.optimizer];
    if (mine.some((object) => atWork.has(object))) {
      throw new Error(`${OP}: another fit of this model or optimizer is still at work; wait until it has ended`);
    }
    mine.forEach((object) => atWork.add(object));
    try {
      return await this.run(dataset, options);
    } finally {
      mine.forEach((object) => atWork.delete(object));
    }
  }

  private async run(dataset: BatchDataset, options: FitOptions): Promise<FitResult> {
    const {steps, callbacks = {}, reportEvery = 1, validation, checkpoint, signal} = options;
    const {cluster} = this;
    if (cluster) await agree(OP, this.shared(options), cluster);
    for (const store of [checkpoint?.target, validation?.best]) await byFirst(async () => store?.prepare?.(), cluster);
    const target = checkpoint && cluster ? sharedCheckpoints(checkpoint.target, cluster) : checkpoint?.target;
    const resumed = target && (await readCheckpoint(target, this.model));
    const iterator = await openIterator(dataset, resumed?.data);
    if (checkpoint && iterator.state === undefined) {
      throw new Error(`${OP}: checkpoint needs a dataset whose iterator has state(), such as tokenWindows`);
    }
    if (this.how.stateful) resetCarried(this.model);
    if (resumed) {
      await takeUp(resumed, this.model, this.optimizer, this.shards);
      this.takeUpOwn(resumed);
    } else if (cluster) {
      await sameWeights(this.model, cluster);
    }
    const result: FitResult = {step: this.step, ended: 'steps'};
    let saved = this.step;
    this.kept = checkpoint && (resumed ? this.step : -1);
    let batches: Batch[] = [];
    let scalars: StepScalars | undefined;
    const save = async (into: TrainingStore) => {
      // Looked at first, so that a run gone wrong never replaces a good checkpoint.
      if (scalars) await this.read(scalars);
      await this.checkLoss(batches);
      const progress = {
        step: this.step,
        data: iterator.state ? iterator.state() : null,
        best: this.best.current,
        draws: storedDraws(this.model),
      };
      const whole = await this.shards?.gather();
      const write = () => saveCheckpoint(into, this.model, this.optimizer, progress, this.ownTensors(), whole);
      await byFirst(write, cluster).finally(() => disposeAll(whole ?? []));
    };
    const keep = async () => {
      await save(target!);
      this.kept = saved = this.step;
      await callbacks.onCheckpoint?.({step: this.step});
    };
    const {verbose = terminal() && !cluster?.rank ? 1 : 0} = options;
    const progress = verbose === 1 ? new ProgressLine(steps, terminal(), this.step) : undefined;
    const clock = new Clock();
    const isDue = (every: number) => this.step % every === 0 || this.step === steps;
    try {
      while (this.step < steps) {
        const stop = signal?.aborted ?? false;
        if (cluster && signal ? await anyRank(stop, cluster) : stop) {
          result.ended = 'aborted';
          break;
        }
        if (this.best.isOver(validation?.patience)) {
          result.ended = 'patience';
          break;
        }
        const next = await take(iterator, this.gradientAccumulation);
        if (next.length === 0) {
          result.ended = 'data';
          break;
        }
        disposeBatches(batches);
        batches = next;
        if (cluster && scalars === undefined) await agreeOnData(OP, batches[0], cluster);
        clock.count(batches);
        tf.dispose(scalars ?? {});
        scalars = cluster ? await this.updateTogether(batches, cluster) : this.update(batches);
        result.step = ++this.step;
        this.average?.update(this.step);
        if (isDue(reportEvery)) {
          const values = await this.read(scalars);
          const learningRate = currentRate(this.optimizer);
          result.report = {step: this.step, ...values, learningRate, tokensPerSecond: clock.rate()};
          progress?.report(result.report);
          await callbacks.onStep?.(result.report);
        }
        if (validation && isDue(validation.every)) {
          const {batches: some, best} = validation;
          const found = await this.averaged(() => this.evaluate(validation.dataset, {batches: some}));
          const loss = await numberOfFirst(found.loss, cluster);
          result.validation = {loss, perplexity: Math.exp(loss)};
          if (!Number.isFinite(loss)) throw this.wrong(`the validation after step ${this.step} has the loss ${loss}`);
          if (this.best.take(loss, this.step) && best) await save(best);
          await callbacks.onValidation?.({step: this.step, ...result.validation});
          clock.restart();
        }
        if (checkpoint?.every !== undefined && this.step % checkpoint.every === 0) await keep();
        await macrotask();
      }
      if (checkpoint && saved < this.step) await keep();
      // The loss of the last step is of the weights before it.
      else if (batches.length > 0 && !checkpoint && result.ended !== 'aborted') await this.checkLoss(batches);
    } finally {
      progress?.end();
      disposeBatches(batches);
      tf.dispose(scalars ?? {});
      if (this.how.stateful) resetCarried(this.model);
    }
    const {current} = this.best;
    return current ? {...result, best: {step: current.step, loss: current.loss}} : result;
  }

  /**
   * The mean loss over a dataset, weighted as one big batch, in inference mode. Sums over batches are in float64.
   *
   * @param dataset Batches of inputs and labels.
   * @param options How much of it to take.
   * @param options.batches Only the first so many.
   */
  async evaluate(dataset: BatchDataset, options: {batches?: number} = {}): Promise<Evaluation> {
    checkDataset('dataset', dataset);
    checkKeys(OP, options, ['batches']);
    const {batches = Infinity} = options;
    if (batches !== Infinity) checkNumber(OP, 'batches', batches, 'positiveCount');
    const iterator = await dataset.iterator();
    let sum = 0;
    let total = 0;
    for (let i = 0; i < batches; i++) {
      const taken = await take(iterator, 1);
      if (taken.length === 0) break;
      let both: tf.Tensor;
      try {
        both = tf.tidy(() => {
          const loss = batchLoss(this.model, taken[0], this.objective);
          return tf.stack([loss, this.objective.count(taken[0].ys)]);
        });
      } finally {
        disposeBatches(taken);
      }
      const [loss, count] = await readOnce(both);
      sum += loss * count;
      total += count;
      await macrotask();
    }
    if (total === 0) {
      throw new Error(`${OP}: the dataset to evaluate has no counted labels`);
    }
    return {loss: sum / total, perplexity: Math.exp(sum / total)};
  }

  /**
   * Runs something, such as saving or evaluating, with the mean of the weights in their place; without `emaDecay`, or before the first
   * step, with the weights.
   */
  async averaged<T>(work: () => Promise<T>): Promise<T> {
    return this.average ? this.average.inPlace(work) : work();
  }

  /** Frees the mean of the weights. The model and the optimizer stay. */
  dispose(): void {
    this.average?.dispose();
  }

  /** What a checkpoint holds beside model and optimizer. */
  private ownTensors(): NamedTensor[] {
    return [
      ...(this.how.stateful ? prefixed(CARRIED, carriedStates(this.model)) : []),
      ...prefixed(AVERAGE, this.average?.tensors() ?? []),
    ];
  }

  /** What the calls of a fit depend on: it has to be the same on all ranks of a cluster. */
  private shared({steps, validation, checkpoint, signal}: FitOptions): Record<string, unknown> {
    const {model, optimizer, clipNorm = null, gradientAccumulation} = this;
    const weights = [model.weights, model.trainableWeights].map((list) =>
      list.map(({originalName, shape}) => [originalName, shape]),
    );
    return {
      'model (names and shapes of its weights)': weights,
      optimizer: [optimizer.getClassName(), clipNorm],
      gradientAccumulation,
      'sequenceParallel and shardOptimizer': [this.sequenceParallel, this.shards !== undefined],
      steps,
      'checkpoint.every': [checkpoint !== undefined, checkpoint?.every],
      validation: validation && [validation.every, validation.best !== undefined, validation.patience],
      signal: signal !== undefined,
    };
  }

  private takeUpOwn({step, best, draws, trainer: arrays = []}: StoredRun): void {
    this.step = step;
    this.best.restore(best);
    restoreDraws(this.model, draws);
    const tensors = toTensors(arrays);
    if (this.how.stateful) restoreCarried(this.model, withPrefix(CARRIED, tensors));
    this.average?.restore(withPrefix(AVERAGE, tensors));
    disposeAll(tensors);
  }

  private update(batches: Batch[]): StepScalars {
    const {model, objective, how, optimizer, clipNorm} = this;
    if (optimizer instanceof AdamW && clipNorm === undefined && batches.length === 1) {
      return tf.tidy(() => stepOnTheWay(model, batches[0], objective, how, optimizer));
    }
    return tf.tidy(() => this.applyStep(stepGradients(model, batches, objective, how)));
  }

  /** The step of all ranks on the whole of the batches, each of which has taken its share. */
  private async updateTogether(batches: Batch[], cluster: Cluster): Promise<StepScalars> {
    const sums = this.sequenceParallel
      ? await sumOverRanks(await relaySums(this.model, batches, this.objective, cluster), cluster)
      : await sumsOfShares(this.model, batches, this.objective, this.how, cluster);
    try {
      const scalars = tf.tidy(() => this.applyStep(asMeans(sums)));
      await this.shards?.exchange();
      return scalars;
    } finally {
      tf.dispose(sums);
    }
  }

  /** Clips and applies gradients. */
  private applyStep({loss, gradients, scale}: StepGradients): StepScalars {
    const {optimizer, shards} = this; // of shards, the optimizer has a part of the gradients
    const hasAll = optimizer instanceof AdamW && !shards;
    const sumNorm = hasAll ? optimizer.normOf(gradients) : globalNorm(Object.values(gradients));
    const norm = scale ? sumNorm.mul<tf.Scalar>(scale) : sumNorm;
    const clip = this.clipNorm === undefined ? undefined : clipScale(norm, this.clipNorm);
    this.apply(gradients, scale && clip ? scale.mul<tf.Scalar>(clip) : (scale ?? clip));
    return {loss: scale ? loss.mul<tf.Scalar>(scale) : loss, norm};
  }

  private apply(gradients: StepGradients['gradients'], scale: tf.Scalar | undefined): void {
    // TensorFlow.js's own optimizers know variables by their place in the list, so it is always complete.
    const {shards} = this;
    const list = this.model.trainableWeights.map(({name}) => ({
      name,
      tensor: (!shards || shards.owns(name) ? gradients[name] : undefined) as tf.Tensor,
    }));
    if (this.optimizer instanceof AdamW) {
      this.optimizer.applyGradients(list, scale ?? tf.scalar(1));
    } else {
      this.optimizer.applyGradients(
        scale ? list.map(({name, tensor}) => ({name, tensor: tensor && tensor.mul(scale)})) : list,
      );
    }
  }

  private async read(scalars: StepScalars): Promise<Pick<StepReport, 'loss' | 'gradientNorm'>> {
    const [loss, gradientNorm] = await readOnce(tf.stack([scalars.loss, scalars.norm]));
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw this.wrong(`step ${this.step} has loss ${loss} and gradient norm ${gradientNorm}`);
    }
    return {loss, gradientNorm};
  }

  /** A run gone wrong: what shows it, what may help, and what there is to go back to. */
  private wrong(what: string): Error {
    const {kept} = this;
    let last = '';
    if (kept !== undefined) {
      last = kept < 0 ? '; there is no checkpoint yet' : `; the last checkpoint, of step ${kept}, stays`;
    }
    return new Error(`${OP}: ${what}; a lower learning rate, a longer warm-up or clipNorm may help${last}`);
  }

  /** Throws unless the weights as they are now give a finite loss: that of the step is of the weights before it. */
  private async checkLoss(batches: Batch[]): Promise<void> {
    const {model, objective, cluster} = this;
    const losses = await lossesNow(model, batches, objective, this.sequenceParallel ? cluster : undefined);
    const wrong = [...(await readOnce(losses))].find((loss) => !Number.isFinite(loss));
    if (wrong !== undefined) {
      const unsaved = this.kept === undefined ? '' : ', so they are not saved';
      throw this.wrong(`the weights after step ${this.step} give the loss ${wrong}${unsaved}`);
    }
  }
}

/**
 * Makes a trainer for a language model, or for any `tf.LayersModel` whose loss is given. The model need not be compiled.
 *
 * @throws Error naming the option that is wrong.
 */
export function trainer(model: tf.LayersModel, options: TrainerOptions): Trainer {
  return new Trainer(model, options);
}

/** The values of a tensor, which is disposed. */
async function readOnce(tensor: tf.Tensor): Promise<ArrayLike<number> & Iterable<number>> {
  try {
    return await tensor.data();
  } finally {
    tensor.dispose();
  }
}

function currentRate(optimizer: tf.Optimizer): number | undefined {
  if (optimizer instanceof AdamW) return optimizer.learningRateAt(optimizer.iterations);
  const {learningRate} = optimizer as tf.Optimizer & {learningRate?: unknown};
  return typeof learningRate === 'number' ? learningRate : undefined;
}
