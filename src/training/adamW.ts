/**
 * AdamW with decoupled weight decay, a rule for what does not decay, an optional learning-rate schedule and clipping by the global
 * gradient norm: what Mamba is trained with (Gu & Dao 2023, appendix E.2), as an optimizer that TensorFlow.js's `model.fit`, `save`
 * and `loadLayersModel` work with.
 *
 * A step is one kernel call for all variables and reads nothing back to the host: the clip scale stays on the device.
 */
import * as tf from '@tensorflow/tfjs';
import {variableNamed} from '../backends/engine';
import {checkKeys} from '../ops/check';
import {adamWUpdate, clipScale, globalNorm, zeroMoment} from '../ops/adamW';
import {checkAdamConstants, checkNumber} from '../ops/adamW/hyperparameters';
import {registerClass} from '../registerClass';
import {areMany, FlatMoments} from './flatMoments';
import type {NamedTensor} from './moments';
import {Moments} from './moments';
import {nameMatcher, noDecayRule} from './noDecay';
import type {Schedule, ScheduleConfig} from './schedules';
import {scheduleFromConfig} from './schedules';

/** The options of {@link adamW}. */
export interface AdamWOptions {
  /** A number, or a schedule of the step counted from 1, such as `warmupCosine` makes. */
  learningRate?: number | Schedule;
  /** The same as a schedule in `learningRate`. */
  schedule?: Schedule;
  /** Decay of the running mean of the gradient. */
  beta1?: number;
  /** Decay of the running mean of its square. */
  beta2?: number;
  epsilon?: number;
  /** The share of a weight, times the learning rate, that each step takes away. */
  weightDecay?: number;
  /**
   * Regular expressions; a weight whose name contains a match does not decay. Names are as in `model.weights`, e.g.
   * `layers.0/mixer/dtProj/bias`, without the `_1` that TensorFlow.js appends in later models. The default is the paper's rule: A_log,
   * D, biases and norms.
   */
  noDecay?: readonly string[];
  /** The norm of all gradients together is scaled down to this where it is larger. */
  clipNorm?: number;
}

type VariableGradients = Parameters<tf.Optimizer['applyGradients']>[0];

const OP = 'adamW';
const optionNames = ['learningRate', 'schedule', 'beta1', 'beta2', 'epsilon', 'weightDecay', 'noDecay', 'clipNorm'];
/** What PyTorch and transformers call them. */
const elsewhere = {lr: 'learningRate', eps: 'epsilon', max_grad_norm: 'clipNorm'};

/** See {@link adamW}. */
export class AdamW extends tf.Optimizer {
  static readonly className = 'AdamW';

  learningRate: number | Schedule;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly noDecay: readonly string[];
  readonly clipNorm: number | undefined;
  private readonly isExempt: (name: string) => boolean;
  private readonly moments = new Moments();
  /** The state of all variables, where it is flat; the moments have none of it then. */
  private flat?: FlatMoments;
  /** What getWeights made besides the moments; who calls it does not dispose what it gives. */
  private counters: tf.Tensor[] = [];

  constructor(options: AdamWOptions) {
    super();
    checkKeys(OP, options, optionNames, elsewhere);
    const {beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0.1, noDecay = noDecayRule(), clipNorm} = options;
    checkAdamConstants(OP, {beta1, beta2, epsilon});
    checkNumber(OP, 'weightDecay', weightDecay, 'nonNegative');
    if (clipNorm !== undefined) checkNumber(OP, 'clipNorm', clipNorm, 'positive');
    this.learningRate = chosenRate(options);
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
    this.weightDecay = weightDecay;
    this.isExempt = nameMatcher(noDecay);
    this.noDecay = [...noDecay];
    this.clipNorm = clipNorm;
  }

  /** `tf.Optimizer` takes whatever has its methods for an instance, of subclasses too; here only an AdamW is one. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Object.prototype.isPrototypeOf.call(this.prototype, value as object);
  }

  /** The learning rate of a step, counted from 1. */
  learningRateAt(step: number): number {
    return typeof this.learningRate === 'number' ? this.learningRate : this.learningRate(step);
  }

  /**
   * One step. A variable without a gradient is left alone, as torch does: its value, moments and count of steps stay.
   *
   * @param gradScale Multiplies all gradients, in place of this optimizer's own clipping.
   */
  override applyGradients(variableGradients: VariableGradients, gradScale?: tf.Scalar): void {
    this.applySome(variableGradients, gradScale, true);
    this.endStep();
  }

  /** @internal A part of the gradients of a step, each variable's once, or all of them; `endStep` ends it. */
  applySome(variableGradients: VariableGradients, gradScale?: tf.Scalar, areAll = false): void {
    const pairs = withGradients(variableGradients);
    const learningRate = this.learningRateAt(this.iterations + 1);
    tf.tidy(() => {
      const isClipped = gradScale === undefined && this.clipNorm !== undefined && pairs.length > 0;
      const scale = isClipped ? clipScale(this.normOf(variableGradients), this.clipNorm) : gradScale;
      for (const [step, group] of this.byStep(pairs)) {
        this.update(group, step, learningRate, scale, areAll);
      }
    });
  }

  /** @internal */
  endStep(): void {
    this.incrementIterations();
  }

  /** @internal The norm of gradients, from what they are packed into to be applied if the state is flat: to be called in the tidy of both. */
  normOf(variableGradients: VariableGradients): tf.Scalar {
    const pairs = withGradients(variableGradients);
    const grads = pairs.map(({grad}) => grad);
    const groups = [...this.byStep(pairs)];
    const flat = groups.length === 1 ? this.flatOf(pairs, groups[0][0], true) : undefined;
    return globalNorm(flat?.pack(grads) ?? grads);
  }

  /** Groups variables by which update of theirs is due: one group, unless some have been without a gradient before. */
  private byStep(pairs: Pair[]): Map<number, Pair[]> {
    const groups = new Map<number, Pair[]>();
    for (const pair of pairs) {
      const {variable} = pair;
      const step = (this.flat?.stepOf(variable) ?? this.moments.find(variable)?.step ?? 0) + 1;
      const group = groups.get(step);
      if (group === undefined) groups.set(step, [pair]);
      else group.push(pair);
    }
    return groups;
  }

  private update(
    pairs: Pair[],
    step: number,
    learningRate: number,
    gradScale: tf.Scalar | undefined,
    areAll: boolean,
  ): void {
    const {beta1, beta2, epsilon} = this;
    const variables = pairs.map(({variable}) => variable);
    const grads = pairs.map(({grad}) => grad);
    const constants = {gradScale, learningRate, beta1, beta2, epsilon, step};
    const flat = this.flatOf(pairs, step, areAll);
    if (flat) {
      flat.update(grads, constants);
      return;
    }
    const slots = variables.map((variable) => this.moments.find(variable));
    const {params, firstMoments, secondMoments} = adamWUpdate({
      ...constants,
      params: variables,
      grads,
      firstMoments: slots.map((slot, i) => slot?.firstMoment ?? zeroMoment(variables[i])),
      secondMoments: slots.map((slot, i) => slot?.secondMoment ?? zeroMoment(variables[i])),
      weightDecay: this.decaysOf(variables),
      reuseMoments: true,
    });
    variables.forEach((variable, i) => {
      variable.assign(params[i]);
      this.moments.update(variable, firstMoments[i], secondMoments[i], step);
    });
  }

  /** The state of these variables if it is flat, or is to be, before their update of number `step`. */
  private flatOf(pairs: Pair[], step: number, areAll: boolean): FlatMoments | undefined {
    const variables = pairs.map(({variable}) => variable);
    if (!this.flat?.isOf(variables)) {
      this.settle();
      if (areAll && areMany(variables)) {
        const slots = variables.map((variable) => this.moments.find(variable));
        this.flat = new FlatMoments(variables, this.decaysOf(variables), slots, step - 1);
        variables.forEach((variable) => this.moments.drop(variable));
      }
    }
    return this.flat;
  }

  private decaysOf(variables: tf.Variable[]): number[] {
    return variables.map(({name}) => (this.isExempt(name) ? 0 : this.weightDecay));
  }

  /** Gives each variable its own moments again. */
  private settle(): void {
    const {flat} = this;
    this.flat = undefined;
    tf.tidy(() =>
      flat?.slots().forEach((slot) => this.moments.update(slot, slot.firstMoment, slot.secondMoment, slot.step)),
    );
    flat?.dispose();
  }

  /**
   * All that a later optimizer needs to go on: `iter`, the count of steps; `steps`, that of each variable; then the moments. The
   * tensors belong to the optimizer.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.settle();
    const {steps} = this.moments;
    const counters = tf.tidy(() => [
      {name: 'iter', tensor: tf.scalar(this.iterations, 'int32')},
      ...(steps.length > 0 ? [{name: 'steps', tensor: tf.tensor1d(steps, 'int32') as tf.Tensor}] : []),
    ]);
    tf.dispose(this.counters);
    this.counters = counters.map(({tensor}) => tf.keep(tensor));
    return [...counters, ...this.moments.tensors()];
  }

  /** Takes copies of what getWeights gave. */
  override async setWeights(weightValues: NamedTensor[]): Promise<void> {
    const [iter, counts, ...moments] = weightValues;
    if (iter?.name !== 'iter' || (counts !== undefined && counts.name !== 'steps')) {
      throw new Error(
        `${OP}: setWeights takes what getWeights of an adamW gave: iter, steps, all moments m, all moments v`,
      );
    }
    const steps = counts === undefined ? [] : [...(await counts.tensor.data())];
    const [iterations] = await iter.tensor.data();
    this.settle();
    this.moments.restore(steps, moments);
    this.iterations_ = iterations;
  }

  override dispose(): void {
    this.flat?.dispose();
    this.flat = undefined;
    this.moments.dispose();
    tf.dispose(this.counters);
    this.counters = [];
  }

  /** @throws Error if the schedule is a plain function, which cannot be stored. */
  override getConfig(): tf.serialization.ConfigDict {
    const {learningRate, beta1, beta2, epsilon, weightDecay, noDecay, clipNorm = null} = this;
    if (typeof learningRate !== 'number' && learningRate.config === undefined) {
      throw new Error(`${OP}: a schedule that is a plain function cannot be saved; one made by warmupCosine can`);
    }
    return {
      learningRate: typeof learningRate === 'number' ? learningRate : {...learningRate.config},
      beta1,
      beta2,
      epsilon,
      weightDecay,
      // Loading a model turns every string into camel case, except under the key `name`.
      noDecay: noDecay.map((name) => ({name})),
      clipNorm,
    };
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    // Beside what getConfig gave, TensorFlow.js hands over customObjects.
    const {learningRate, beta1, beta2, epsilon, weightDecay, noDecay, clipNorm} = config as unknown as SavedConfig;
    const options: AdamWOptions = {
      learningRate: typeof learningRate === 'number' ? learningRate : scheduleFromConfig(learningRate),
      beta1,
      beta2,
      epsilon,
      weightDecay,
      noDecay: noDecay.map(({name}) => name),
      ...(clipNorm === null ? {} : {clipNorm}),
    };
    return new cls(options);
  }
}

registerClass(AdamW);

/**
 * Makes an AdamW optimizer (Loshchilov & Hutter 2019, arXiv 1711.05101; the same numbers as torch.optim.AdamW) for `model.compile`,
 * the trainer, or `optimizer.minimize`. Clipping is that of torch.nn.utils.clip_grad_norm_.
 *
 * @throws Error naming the option that is wrong.
 */
export function adamW(options: AdamWOptions): AdamW {
  return new AdamW(options);
}

interface Pair {
  variable: tf.Variable;
  grad: tf.Tensor;
}

type SavedConfig = Record<'beta1' | 'beta2' | 'epsilon' | 'weightDecay', number> & {
  learningRate: number | ScheduleConfig;
  noDecay: {name: string}[];
  clipNorm: number | null;
};

function chosenRate({learningRate, schedule}: AdamWOptions): number | Schedule {
  if ((learningRate === undefined) === (schedule === undefined)) {
    throw new Error(
      `${OP}: expected either learningRate or schedule, but was given ${learningRate === undefined ? 'neither' : 'both'}`,
    );
  }
  if (schedule !== undefined && typeof schedule !== 'function') {
    throw new Error(`${OP}: schedule must be a function of the step, but is ${typeof schedule}`);
  }
  const rate = learningRate ?? schedule;
  if (typeof rate === 'function') return rate;
  checkNumber(OP, 'learningRate', rate, 'nonNegative');
  return rate as number;
}

/** The variables that have a gradient, in the order given: a list with holes, or a map without. */
function withGradients(variableGradients: VariableGradients): Pair[] {
  const entries: [string, tf.Tensor | null | undefined][] = Array.isArray(variableGradients)
    ? variableGradients.map(({name, tensor}) => [name, tensor])
    : Object.entries(variableGradients);
  return entries.flatMap(([name, grad]) => {
    const variable = variableNamed(name);
    if (variable === undefined) {
      throw new Error(`${OP}: there is no variable ${name} for this gradient`);
    }
    return grad ? [{variable, grad}] : [];
  });
}
