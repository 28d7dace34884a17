/** Accuracy far beyond the length of training: by pieces with the state carried on, so that memory does not grow with the length. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM, MambaState} from '../../src';
import {Random} from '../../src/random';
import {inductionPieces} from './data';

export interface LengthResult {
  length: number;
  /** The share of the rows that were right. */
  accuracy: number;
  seconds: number;
  /** The most that TensorFlow.js held between two pieces, in bytes. */
  bytes: number;
}

/**
 * @param options.rows Sequences, read side by side.
 * @param options.piece Tokens read at a time.
 */
export async function evaluateAt(
  model: MambaLM,
  length: number,
  options: {rows: number; piece: number; seed: number},
): Promise<LengthResult> {
  const {rows, piece, seed} = options;
  const start = performance.now();
  const sequences = Array.from({length: rows}, (_, row) =>
    inductionPieces(length, piece, new Random(1e6 * seed + row)),
  );
  let state: MambaState | undefined;
  let given: ArrayLike<number> = [];
  let bytes = 0;
  for (let read = 0; read < length; read += piece) {
    const pieces = sequences.map((sequence) => sequence.next().value as Int32Array);
    const ids = tf.tidy(() => tf.stack(pieces.map((tokens) => tf.tensor1d(tokens, 'int32')))) as tf.Tensor2D;
    const next = model.prefill(ids, {state});
    const choice = tf.tidy(() => next.logits.argMax(-1));
    given = await choice.data(); // at every piece, so that no queue of work grows
    tf.dispose([ids, choice, next.logits, state ?? []]);
    state = next.state;
    bytes = Math.max(bytes, tf.memory().numBytes);
  }
  tf.dispose(state!);
  const right = sequences.filter((sequence, row) => sequence.next().value === given[row]).length;
  return {length, accuracy: right / rows, seconds: (performance.now() - start) / 1e3, bytes};
}
