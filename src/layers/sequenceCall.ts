/** What a call may say besides its inputs: `layer.apply(x, {…})`, or `model.apply(ids, {…})`, which TensorFlow.js hands to every layer. */
import type * as tf from '@tensorflow/tfjs';
import {checkShape, toOptionalTensor} from '../ops/check';

/** What a call of a layer may say besides its inputs. */
export interface SequenceCall {
  /**
   * Packed documents, int32 [B,L]: wherever the id changes along a row another begins, and each gets what it would get alone. Layers of
   * this package keep them apart; any other layer that looks along the sequence mixes them.
   */
  sequenceIds?: tf.Tensor2D;
  /** Whether the state after this call is the state before the next such call, as in a layer that is made `stateful`. */
  stateful?: boolean;
  /** @internal Runs a block in another way than at once: `gradCheckpoint` of the trainer. */
  through?: Through;
  /** @internal Where states come from and go to: `sequenceParallel` of the trainer. */
  relay?: Relay;
}

/** By the name of a layer, the states it begins with, and who takes those it ends with. */
export interface Relay {
  before(layer: string): Record<string, tf.Tensor>;
  after(layer: string, state: Record<string, tf.Tensor>): void;
}

/** What a block is run on. */
export interface Sequence {
  x: tf.Tensor3D;
  initial?: Record<string, tf.Tensor>;
  mask?: tf.Tensor;
  sequenceIds?: tf.Tensor2D;
}

/** @param variables What the run reads by itself and has a gradient in. */
export type Through = (run: (sequence: Sequence) => tf.Tensor, sequence: Sequence, variables: tf.Tensor[]) => tf.Tensor;

/** Checks ids against the [batch, length, …] they are for. */
export function checkSequenceIds(
  layer: string,
  ids: tf.Tensor | undefined,
  x: tf.Tensor,
  mask?: tf.Tensor | null,
): void {
  const tensor = toOptionalTensor(layer, 'sequenceIds', ids, 'int32');
  checkShape(layer, 'sequenceIds', tensor, x.shape.slice(0, 2), 'an id per position, [batch, length]');
  if (tensor && mask) {
    throw new Error(`${layer}: sequenceIds and a mask do not go together; padding of packed rows has an id of its own`);
  }
}
