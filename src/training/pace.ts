/** The pace of a training loop: how fast it goes, and how it lets others in. */
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

/**
 * Lets events in (a click, Ctrl-C): on a backend that computes in this thread, awaiting a result lets in none. A message is not
 * slowed down in background tabs as timers are.
 */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
