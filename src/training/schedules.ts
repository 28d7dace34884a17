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

/**
 * A learning rate that depends on the step, counted from 1. Any function of the step can be one; those made here can be saved too,
 * by their `config`.
 */
export type Schedule = ((step: number) => number) & {readonly config?: ScheduleConfig};

/**
 * A schedule as stored beside an optimizer. The kind is called `name` because TensorFlow.js changes the case of other strings when
 * it loads a model.
 */
export type ScheduleConfig = {name: 'warmupCosine'} & Required<WarmupCosineOptions>;

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
  const OP = 'warmupCosine';
  checkKeys(OP, options, ['peak', 'warmupSteps', 'totalSteps', 'floor']);
  const {peak, warmupSteps, totalSteps, floor = 1e-5} = options;
  checkNumber(OP, 'peak', peak, 'positive');
  checkNumber(OP, 'warmupSteps', warmupSteps, 'count');
  checkNumber(OP, 'totalSteps', totalSteps, 'positiveCount');
  checkNumber(OP, 'floor', floor, 'nonNegative');
  if (totalSteps <= warmupSteps) {
    throw new Error(`${OP}: totalSteps must be more than warmupSteps, ${warmupSteps}, but is ${totalSteps}`);
  }
  if (floor > peak) {
    throw new Error(`${OP}: floor must be at most peak, ${peak}, but is ${floor}`);
  }
  const schedule = (step: number): number => {
    if (step <= warmupSteps) {
      return peak * (step / warmupSteps);
    }
    const progress = Math.min(1, (step - warmupSteps) / (totalSteps - warmupSteps));
    return floor + ((peak - floor) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
  return Object.assign(schedule, {config: {name: 'warmupCosine' as const, peak, warmupSteps, totalSteps, floor}});
}

/** Makes a schedule from its `config`. */
export function scheduleFromConfig(config: ScheduleConfig): Schedule {
  const {name, ...options} = config;
  if (name !== 'warmupCosine') {
    throw new Error(`adamW: the saved schedule is of an unknown kind, ${String(name)}`);
  }
  return warmupCosine(options);
}
