/**
 * Learning-rate schedules: functions of the step that also know how to be saved, so that a compiled model can be stored with its
 * optimizer and go on from there.
 */
import {checkKeys} from '../ops/check';
import {checkNumber} from '../ops/adamW/hyperparameters';

/** The options of {@link warmupCosine}. */
export interface WarmupCosineOptions {
  /** The learning rate at the end of the warm-up. */
  peak: number;
  /** The number of steps over which the rate rises linearly to the peak. */
  warmupSteps: number;
  /** The number of steps after which the rate stays at the floor, warm-up included. */
  totalSteps: number;
  /** The last learning rate, 1e-5 unless given. */
  floor?: number;
}

/** The options of {@link warmupLinear}: those of {@link warmupCosine}. */
export type WarmupLinearOptions = WarmupCosineOptions;

/** The options of {@link warmupConstant}. */
export type WarmupConstantOptions = Pick<WarmupCosineOptions, 'peak' | 'warmupSteps'>;

/**
 * A learning rate that depends on the step, counted from 1. Any function of the step can be one; those made here can be saved too,
 * by their `config`.
 */
export type Schedule = ((step: number) => number) & {readonly config?: ScheduleConfig};

/**
 * A schedule as stored beside an optimizer. The kind is called `name` because TensorFlow.js changes the case of other strings when
 * it loads a model.
 */
export type ScheduleConfig =
  | ({name: 'warmupCosine' | 'warmupLinear'} & Required<WarmupCosineOptions>)
  | ({name: 'warmupConstant'} & WarmupConstantOptions);

/**
 * Linear warm-up to `peak`, then a half cosine down to `floor` (Gu & Dao 2023, appendix E.2; Loshchilov & Hutter 2017). With t the
 * step counted from 1:
 *
 * ```
 * peak · t / warmupSteps                                      t ≤ warmupSteps
 * floor + (peak − floor) · (1 + cos π·p) / 2                  p = (t − warmupSteps) / (totalSteps − warmupSteps), at most 1
 * ```
 *
 * @throws Error naming the option that is wrong.
 */
export function warmupCosine(options: WarmupCosineOptions): Schedule {
  return falling('warmupCosine', options, (progress) => (1 + Math.cos(Math.PI * progress)) / 2);
}

/**
 * Linear warm-up to `peak`, then a straight line down to `floor`: as {@link warmupCosine}, with 1 − p in place of the half cosine.
 *
 * @throws Error naming the option that is wrong.
 */
export function warmupLinear(options: WarmupLinearOptions): Schedule {
  return falling('warmupLinear', options, (progress) => 1 - progress);
}

/**
 * Linear warm-up to `peak`, which then stays.
 *
 * @throws Error naming the option that is wrong.
 */
export function warmupConstant(options: WarmupConstantOptions): Schedule {
  const OP = 'warmupConstant';
  checkKeys(OP, options, ['peak', 'warmupSteps']);
  const {peak, warmupSteps} = options;
  checkNumber(OP, 'peak', peak, 'positive');
  checkNumber(OP, 'warmupSteps', warmupSteps, 'count');
  const schedule = (step: number): number => (step < warmupSteps ? peak * (step / warmupSteps) : peak);
  return Object.assign(schedule, {config: {name: OP, peak, warmupSteps} as const});
}

/** @param shape From 1 to 0 as the progress goes from 0 to 1. */
function falling(
  name: 'warmupCosine' | 'warmupLinear',
  options: WarmupCosineOptions,
  shape: (progress: number) => number,
): Schedule {
  checkKeys(name, options, ['peak', 'warmupSteps', 'totalSteps', 'floor']);
  const {peak, warmupSteps, totalSteps, floor = 1e-5} = options;
  checkNumber(name, 'peak', peak, 'positive');
  checkNumber(name, 'warmupSteps', warmupSteps, 'count');
  checkNumber(name, 'totalSteps', totalSteps, 'positiveCount');
  checkNumber(name, 'floor', floor, 'nonNegative');
  if (totalSteps <= warmupSteps) {
    throw new Error(`${name}: totalSteps must be more than warmupSteps, ${warmupSteps}, but is ${totalSteps}`);
  }
  if (floor > peak) {
    throw new Error(`${name}: floor must be at most peak, ${peak}, but is ${floor}`);
  }
  const schedule = (step: number): number => {
    if (step <= warmupSteps) {
      return peak * (step / warmupSteps);
    }
    const progress = Math.min(1, (step - warmupSteps) / (totalSteps - warmupSteps));
    return floor + (peak - floor) * shape(progress);
  };
  return Object.assign(schedule, {config: {name, peak, warmupSteps, totalSteps, floor}});
}

const makers = {warmupCosine, warmupLinear, warmupConstant};

/** Makes a schedule from its `config`. */
export function scheduleFromConfig(config: ScheduleConfig): Schedule {
  const {name, ...options} = config;
  if (!Object.hasOwn(makers, name)) {
    throw new Error(`adamW: the saved schedule is of an unknown kind, ${String(name)}`);
  }
  return (makers[name] as (options: object) => Schedule)(options);
}
