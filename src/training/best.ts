/** The lowest validation loss so far, and how many validations in a row have not been lower: when to keep a checkpoint, when to stop. */

/** As checkpoints hold it. */
export interface BestState {
  loss: number;
  /** Of which step. */
  step: number;
  /** Validations since. */
  misses: number;
}

export class Best {
  private state?: BestState;

  get current(): BestState | undefined {
    return this.state;
  }

  restore(state: BestState | undefined): void {
    this.state = state && {...state};
  }

  /** Whether this loss is the lowest. */
  take(loss: number, step: number): boolean {
    if (this.state && !(loss < this.state.loss)) {
      this.state.misses++;
      return false;
    }
    this.state = {loss, step, misses: 0};
    return true;
  }

  /** Whether so many validations in a row have not been lower. */
  isOver(patience: number | undefined): boolean {
    return patience !== undefined && (this.state?.misses ?? 0) >= patience;
  }
}
