/** The pace of a training loop. */
import type {Batch} from './data';

/** Labels per second since the last time it was asked. */
export class Clock {
  private labels = 0;
  private start = performance.now();

  count(batches: Batch[]): void {
    this.labels += batches.flatMap(({ys}) => ys).reduce((sum, {size}) => sum + size, 0);
  }

  rate(): number {
    const rate = (1000 * this.labels) / (performance.now() - this.start);
    this.restart();
    return rate;
  }

  restart(): void {
    this.labels = 0;
    this.start = performance.now();
  }
}
