/**
 * What has been read and written of one text, and the states on the way. A state is of constant size however long the text is, so the
 * last ones can be kept: to take tokens back, to try another continuation, or to go on another day, without reading the text again.
 *
 * A model needs an id to go on from, so what counts as the place of a text is the newest state and the ids that are not in it yet: after
 * generation that is the last token. Where no state is old enough for a place, the ids are read again from the start.
 */
import * as tf from '@tensorflow/tfjs';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkKeys, describe} from '../ops/check';
import type {MambaState} from './model';

/** The options of {@link stateHistory}. */
export interface StateHistoryOptions {
  /** How many of the last states are kept (64): so many tokens can be taken back without any being read again. */
  depth?: number;
}

/** What reading needs of a model. */
interface Reader {
  prefill(ids: number[][], options: {state?: MambaState}): Read;
  step(ids: number[], state: MambaState): Read;
}

type Read = {logits: tf.Tensor2D; state: MambaState};

/** The state after the first `count` ids. */
interface Kept {
  count: number;
  state: MambaState;
}

const OP = 'StateHistory';

/**
 * One text as a model has read and written it, for `generate(prompt, {history})`, which goes on where the history ends and adds to it.
 * Made by {@link stateHistory} and {@link loadHistory}; `dispose` frees the states.
 */
export class StateHistory {
  private all: number[] = [];
  private kept: Kept[] = [];
  private isBusy = false;
  private isDisposed = false;

  /** @param depth How many of the last states are kept. */
  constructor(readonly depth: number) {}

  /** Every id read or written, oldest first. */
  get ids(): readonly number[] {
    return this.all;
  }

  /**
   * Takes the last tokens back, as if they had never been read or written.
   *
   * @returns Their ids.
   * @throws Error if there are not so many, or while `generate` is at work on this history.
   */
  rollBack(count: number): number[] {
    checkNumber(`${OP}: rollBack`, 'count', count, 'count');
    if (count > this.all.length) {
      throw new Error(
        `${OP}: rollBack: count must be at most the ${this.all.length} tokens there are, but is ${count}`,
      );
    }
    this.checkIdle('rollBack');
    const taken = this.all.splice(this.all.length - count, count);
    // An id must be left to go on from.
    const isLater = (entry: Kept) => entry.count >= this.all.length;
    tf.dispose(this.kept.filter(isLater).map(({state}) => state));
    this.kept = this.kept.filter((entry) => !isLater(entry));
    return taken;
  }

  /** The same once more, to be continued in another way. The numbers of the states are shared, not copied. */
  fork(): StateHistory {
    this.checkInUse('fork');
    const other = new StateHistory(this.depth);
    other.all = this.all.slice();
    other.kept = this.kept.map(({count, state}) => ({count, state: forkState(state)}));
    return other;
  }

  /** Frees the states; the history is empty then, and of no further use. */
  dispose(): void {
    if (this.isDisposed) return;
    this.rollBack(this.all.length);
    this.isDisposed = true;
  }

  /** @internal The newest state, and of how many ids it is. */
  get newest(): {readonly count: number; readonly state?: MambaState} {
    return this.kept.at(-1) ?? {count: 0};
  }

  /**
   * @internal Reads what is not in a state yet, and then the prompt: the last id by a step, so that there is a state before it. Until
   * `end` nobody else may change the history.
   */
  read(model: Reader, prompt: readonly number[]): Read {
    this.checkIdle('generate');
    const unread = [...this.all.slice(this.newest.count), ...prompt];
    const last = unread.pop()!;
    if (unread.length > 0) {
      const {logits, state} = model.prefill([unread], {state: this.newest.state});
      logits.dispose();
      for (const id of prompt) this.all.push(id);
      this.keep({count: this.all.length - 1, state});
    } else {
      this.all.push(...prompt);
    }
    const {state} = this.newest;
    const read = state ? model.step([last], state) : model.prefill([[last]], {});
    this.isBusy = true;
    return read;
  }

  /** @internal */
  end(): void {
    this.isBusy = false;
  }

  /** @internal Adds an id and the state before it, which belongs to the history from now on. */
  add(id: number, state: MambaState): void {
    this.keep({count: this.all.length, state});
    this.all.push(id);
  }

  /** @internal Takes up what a file has. */
  restore(ids: readonly number[], entry: Kept): this {
    this.all = ids.slice();
    this.kept = [entry];
    return this;
  }

  private keep(entry: Kept): void {
    this.kept.push(entry);
    if (this.kept.length > this.depth) tf.dispose(this.kept.shift()!.state);
  }

  private checkIdle(op: string): void {
    this.checkInUse(op);
    if (this.isBusy) throw new Error(`${op}: the history is in use by a generate that has not ended`);
  }

  /** @internal */
  checkInUse(op: string): void {
    if (this.isDisposed) throw new Error(`${op}: the history has been disposed; stateHistory() makes a new one`);
  }
}

/**
 * An empty history, for a text that is yet to be read.
 *
 * @throws Error naming the option that is wrong.
 */
export function stateHistory(options: StateHistoryOptions = {}): StateHistory {
  return new StateHistory(readDepth('stateHistory', options));
}

/** The depth that options state. */
export function readDepth(op: string, options: StateHistoryOptions): number {
  checkKeys(op, options, ['depth']);
  const {depth = 64} = options;
  checkNumber(op, 'depth', depth, 'positiveCount');
  return depth;
}

/** The same state once more, to be disposed on its own: the numbers are shared, so it costs next to nothing. */
export function forkState(state: MambaState): MambaState {
  if (!Array.isArray(state)) throw new Error(`forkState: state must be a model's state, but is ${describe(state)}`);
  return state.map((parts) => {
    return Object.fromEntries(Object.entries(parts).map(([name, tensor]) => [name, tensor.clone()]));
  }) as MambaState;
}
