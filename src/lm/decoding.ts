/**
 * Where a generation stands: what its next tokens are chosen from, and the state after what was read. Where the backend has decoders it is
 * one of these that keeps the state and finds the likeliest tokens; else each step gives tensors.
 *
 * Where it finds them on a GPU and one row takes the likeliest, steps are sent ahead: they read the token where it lies, while its number is
 * still on the way to JavaScript. What has been sent too much, as the row ends, is thrown away.
 */
import * as tf from '@tensorflow/tfjs';
import {Matrices} from '../layers/matrices';
import type {TokenDecoder} from '../ops/decoder';
import type {ComingTop, TopLogits} from '../ops/topLogits';
import {findsTopLogits, topLogits} from '../ops/topLogits';
import type {MambaState} from './model';
import type {SamplingOptions} from './sampling';
import {logSumExp, neededTokens, sampleToken, sampleTop} from './sampling';
import type {TokenIds} from './tokenIds';

/** What decoding needs of a model. */
export interface Steps {
  readonly weights: tf.LayerVariable[];
  step(ids: TokenIds, state: MambaState): Read;
  openDecoder?(state: MambaState): TokenDecoder | undefined;
}

/** What reading tokens gives. */
export type Read = {logits: tf.Tensor2D; state: MambaState};

/** What is known of a row when a token is chosen. */
interface Chooser {
  seen: ReadonlySet<number>;
  random: () => number;
}

/** What a row chooses its next token from. */
export interface Choice {
  /** ln Σ exp of the logits. */
  total: number;
  choose(row: Chooser): number;
  /** The logit of the token chosen. */
  logit(id: number): number;
}

/** Likeliest tokens that a decoder finds faster than JavaScript looks through all. */
const MOST = 64;

/** Steps that are sent before the token that they follow is known: so many that a GPU always has something to do. */
const AHEAD = 2;

/** A step whose likeliest token is on its way. */
type Sent = {read: Read; top: ComingTop};

export class Decoding {
  private decoder?: TokenDecoder;
  private changes = 0;
  private unread?: Choice[];
  /** What `read` is of, and the steps that were sent after it. */
  private sent: Sent[] = [];
  /** What the weights were when these were sent. */
  private weights: unknown[] = [];

  /**
   * @param read What reading the prompts gave; it is this one's from now on.
   * @param keepsStates Whether somebody wants the state of each step, as a tensor that is then theirs.
   */
  constructor(
    private readonly model: Steps,
    private read: Read,
    private readonly options: SamplingOptions,
    private readonly vocabSize: number,
    private readonly keepsStates: boolean,
  ) {}

  /** The state after what was read, where states are kept. */
  get state(): MambaState {
    return this.read.state;
  }

  /**
   * For each row. Those beyond the tokens are padding of the vocabulary: never chosen, though the model gives them a probability.
   *
   * @param ahead How many further steps may be sent, if the next ones are sure to be asked for.
   */
  async choices(ahead = 0): Promise<Choice[]> {
    if (this.unread) return this.unread;
    const needed = neededTokens(this.options);
    if (needed === undefined || !findsTopLogits(needed)) {
      const {logits} = this.read;
      return this.amongAll((await logits.data()) as Float32Array, logits.shape[0]);
    }
    const send = (read: Read) => this.sent.push({read, top: topLogits(read.logits, needed, this.vocabSize)});
    if (this.sent.length === 0) send(this.read);
    while (needed === 1 && this.sent.length <= Math.min(ahead, AHEAD)) {
      const {read, top} = this.sent.at(-1)!;
      send(this.model.step(top.likeliest, read.state));
    }
    return this.among(await this.sent[0].top.rows);
  }

  /** Reads a token of each row. */
  step(ids: number[]): void {
    const sent = this.nextSent();
    if (!this.keepsStates && !sent) this.open();
    if (!this.decoder) {
      const next = sent ?? this.model.step(ids, this.read.state);
      this.read.logits.dispose();
      if (!this.keepsStates) tf.dispose(this.read.state);
      this.read = next;
      return;
    }
    const needed = neededTokens(this.options);
    this.unread =
      needed !== undefined && needed <= MOST
        ? this.among(this.decoder.nextTop(ids, needed, this.vocabSize))
        : this.amongAll(this.decoder.nextLogits(ids), ids.length);
  }

  /** Goes on with some rows only: a finished one costs no further step. */
  take(rows: number[]): void {
    this.close();
    this.read.state = takeRows(this.read.state, rows);
  }

  dispose(): void {
    this.dropSent();
    this.decoder?.close();
    this.decoder = undefined;
    this.read.logits.dispose();
    if (!this.keepsStates) tf.dispose(this.read.state);
  }

  /** The next step, if it has been sent, with the weights that the model has now. */
  private nextSent(): Read | undefined {
    if (this.sent.length === 0) return undefined;
    const weights = [Matrices.changes, ...this.model.weights.map((weight) => weight.read().dataId)];
    if (!tf.util.arraysEqual(weights as number[], this.weights as number[])) this.dropSent();
    this.weights = weights;
    this.sent.shift()?.top.dispose();
    return this.sent[0]?.read;
  }

  /** Throws away what has been sent, but for what `read` is. */
  private dropSent(): void {
    this.sent.forEach(({read, top}) => {
      top.dispose();
      if (read !== this.read) tf.dispose(read);
    });
    this.sent = [];
  }

  /** Opens a decoder that has the weights that the model has now, if there is one. */
  private open(): void {
    if (this.decoder?.isCurrent && this.changes === Matrices.changes) return;
    this.close();
    this.changes = Matrices.changes;
    this.decoder = this.model.openDecoder?.(this.read.state);
    if (!this.decoder) return;
    tf.dispose(this.read.state);
    this.read.state = [];
  }

  /** Takes the state back. */
  private close(): void {
    if (!this.decoder) return;
    this.read.state = this.decoder.states() as MambaState;
    this.decoder.close();
    this.decoder = undefined;
    this.unread = undefined;
  }

  private among(rows: TopLogits[]): Choice[] {
    return rows.map(({logSumExp: total, ids, logits: values}) => ({
      total,
      choose: ({random}) => sampleTop(ids, values, this.options, random),
      logit: (id) => values[ids.indexOf(id)],
    }));
  }

  private amongAll(values: Float32Array, batch: number): Choice[] {
    const width = values.length / batch;
    return Array.from({length: batch}, (_, row) => {
      const all = values.subarray(row * width, (row + 1) * width);
      const real = all.subarray(0, this.vocabSize);
      return {
        total: logSumExp(all),
        choose: ({seen, random}) => sampleToken(real, this.options, seen, random),
        logit: (id) => real[id],
      };
    });
  }
}

/** Some rows of a state, which is disposed. */
function takeRows(state: MambaState, rows: number[]): MambaState {
  const taken = tf.tidy(() => {
    const indices = tf.tensor1d(rows, 'int32');
    const take = (part: tf.TensorContainer): tf.TensorContainer => {
      if (part instanceof tf.Tensor) return tf.gather(part, indices);
      if (Array.isArray(part)) return part.map(take);
      return Object.fromEntries(Object.entries(part as tf.TensorContainerObject).map(([name, x]) => [name, take(x)]));
    };
    return take(state);
  });
  tf.dispose(state);
  return taken as MambaState;
}
