/**
 * The likeliest tokens of a language model's logits, found where the logits are, so that a GPU hands over some hundred bytes for a
 * token and not the whole vocabulary. Backends whose numbers lie in JavaScript's reach have no use for it, and none.
 */
import type * as tf from '@tensorflow/tfjs';
import {dispose} from '@tensorflow/tfjs';
import {hasKernel, runKernel} from '../../backends/engine';

/** The most tokens that can be asked for. */
const MOST = 64;

/** The likeliest tokens of a row. */
export interface TopLogits {
  /** ln Σ exp of all logits of the row. */
  logSumExp: number;
  /** By falling logit, equal ones by rising id. */
  ids: Int32Array;
  logits: Float32Array;
}

/** Whether the backend in use finds so many. */
export function findsTopLogits(count: number): boolean {
  return count <= MOST && hasKernel('TopLogits');
}

/**
 * The kernel by itself: per row ln Σ exp of its logits, the ids and their logits, [B, 1 + 2·count], where an id of -1 stands if there was no
 * number to choose; and the likeliest id of each row as a step takes it, int32 [B].
 */
export function runTopLogits(logits: tf.Tensor2D, count: number, vocabSize: number): [tf.Tensor2D, tf.Tensor1D] {
  return runKernel('TopLogits', [logits], {count, vocabSize}) as [tf.Tensor2D, tf.Tensor1D];
}

/** Likeliest tokens on their way to JavaScript. */
export interface ComingTop {
  rows: Promise<TopLogits[]>;
  /** The likeliest of each row, int32 [B]. */
  likeliest: tf.Tensor1D;
  /** May come before the rows, of which nobody then hears. */
  dispose(): void;
}

/**
 * The likeliest tokens of each row of logits [B,V], in one read, which has set out when it returns.
 *
 * @param logits Not disposed.
 * @param most How many, up to {@link MOST}; fewer if the vocabulary has no more.
 * @param vocabSize Ids from here on are padding, and never among them; their logits count in the sum.
 */
export function topLogits(logits: tf.Tensor2D, most: number, vocabSize: number): ComingTop {
  const count = Math.min(most, vocabSize);
  const [found, likeliest] = runTopLogits(logits, count, vocabSize);
  const rows = found.data<'float32'>().then((values) =>
    Array.from({length: logits.shape[0]}, (_, row) => {
      const start = row * (1 + 2 * count);
      const ids = Int32Array.from(values.subarray(start + 1, start + 1 + count)).filter((id) => id >= 0);
      return {logSumExp: values[start], ids, logits: values.slice(start + 1 + count, start + 1 + count + ids.length)};
    }),
  );
  rows.catch(() => {}); // who waits for them has it
  return {rows, likeliest, dispose: () => dispose([found, likeliest])};
}
