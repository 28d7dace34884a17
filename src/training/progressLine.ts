/** The line that tells how a fit is getting on, written over itself in a terminal. */
import type {StepReport} from './options';

/** Where it is written. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** The terminal of this process, in Node; in a page, or where the output goes to a file, there is none. */
export function terminal(): Terminal | undefined {
  const {process} = globalThis as {process?: {stdout?: Terminal}};
  return process?.stdout?.isTTY === true ? process.stdout : undefined;
}

export class ProgressLine {
  private readonly start = performance.now();
  private isOpen = false;

  /** @param out Where to, or the console if undefined: a line for each report. */
  constructor(
    private readonly steps: number,
    private readonly out?: Terminal,
    /** The steps that had been taken before; one less than the first report is of, unless given. */
    private firstStep?: number,
  ) {}

  /** The line alone. */
  text({step, loss, tokensPerSecond}: StepReport): string {
    const since = (performance.now() - this.start) / 1000;
    this.firstStep ??= step - 1;
    const left = (since / (step - this.firstStep)) * (this.steps - step);
    const rate = `${Math.round(tokensPerSecond).toLocaleString('en')} labels/s`;
    return `step ${step} of ${this.steps} | loss ${loss.toPrecision(4)} | ${rate} | ${duration(left)} left`;
  }

  report(report: StepReport): void {
    const line = this.text(report);
    if (this.out) {
      // Shorter than the terminal is wide, or it would go on in the next line and stay there; one that knows no width says 0.
      this.out.write(`\r\x1b[K${line.slice(0, (this.out.columns || 80) - 1)}`);
      this.isOpen = true;
    } else {
      // eslint-disable-next-line no-console -- it was asked for
      console.log(line);
    }
  }

  /** Leaves the last line where it is. */
  end(): void {
    if (this.isOpen) this.out?.write('\n');
    this.isOpen = false;
  }
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}
