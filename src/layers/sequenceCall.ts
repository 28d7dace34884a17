/** What a call may say besides its inputs: `layer.apply(x, {…})`, or `model.apply(ids, {…})`, which TensorFlow.js hands to every layer. */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';

export interface SequenceCall {
  /**
   * Packed documents, int32 [B,L]: wherever the id changes along a row another begins, and each gets what it would get alone. Layers of
   * this package keep them apart; any other layer that looks along the sequence mixes them.
   */
  sequenceIds?: tf.Tensor;
  /** Whether the state after this call is the state before the next such call, as in a layer that is made `stateful`. */
  stateful?: boolean;
  /** Whether to keep only a block's input for its gradient, and to run the block once more on the way back. */
  gradCheckpoint?: boolean;
}

/** Checks ids against the [batch, length, …] they are for. */
export function checkSequenceIds(layer: string, ids: unknown, x: tf.Tensor, mask: tf.Tensor | null | undefined): void {
  if (ids === undefined || ids === null) return;
  const expected = x.shape.slice(0, 2);
  const isFit = ids instanceof tf.Tensor && ids.dtype === 'int32' && tf.util.arraysEqual(ids.shape, expected);
  if (!isFit) {
    const given = ids instanceof tf.Tensor ? `${ids.dtype} ${showShape(ids.shape)}` : typeof ids;
    throw new Error(`${layer}: sequenceIds must be int32 [batch, length], ${showShape(expected)}, but are ${given}`);
  }
  if (mask) {
    throw new Error(`${layer}: sequenceIds and a mask do not go together; padding of packed rows has an id of its own`);
  }
}
