/**
 * How far a training is: by its steps, or by the clock where it may take only so long. The learning rate follows whichever is further, so
 * that it has come down when time is up; the steps that were made then are what repeats the training elsewhere.
 */

export interface PaceOptions {
  steps: number;
  /** The most that it may take. */
  minutes?: number;
}

export interface RateOptions {
  /** The highest learning rate. */
  peak: number;
  warmupSteps: number;
}

export class Pace {
  /** Ends the training when time is up: for `fit`. */
  readonly signal: AbortSignal | undefined;
  private readonly start = performance.now();

  /** The clock starts here. */
  constructor(private readonly options: PaceOptions) {
    const {minutes} = options;
    this.signal = minutes === undefined ? undefined : AbortSignal.timeout(Math.round(6e4 * minutes));
  }

  get seconds(): number {
    return (performance.now() - this.start) / 1e3;
  }

  /** A linear warm-up and half a cosine down to a hundredth of the peak, as `warmupCosine` has it, of the step counted from 1. */
  learningRate({peak, warmupSteps}: RateOptions): (step: number) => number {
    const {steps, minutes = Infinity} = this.options;
    return (step) => {
      if (step < warmupSteps) return (peak * step) / warmupSteps;
      const progress = Math.max((step - warmupSteps) / Math.max(steps - warmupSteps, 1), this.seconds / (60 * minutes));
      const floor = peak / 100;
      return floor + ((peak - floor) * (1 + Math.cos(Math.PI * Math.min(1, progress)))) / 2;
    };
  }
}
