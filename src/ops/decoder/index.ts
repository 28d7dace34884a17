/**
 * A language model opened for decoding: the backend holds what its weights are and keeps the state, so that a token is one call, and no tensor
 * is made for it. An accelerator that TensorFlow on a CPU has: `native.ts`; which weights a model has is told by its mixer
 * (`openBlocks` in src/mixers/mixer.ts).
 */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import type {TopLogits} from '../topLogits';

/** The ends of a language model: a packed matrix is its words, and its scales, if there are any, are in the place of its floats. */
export interface ModelEnds {
  floats: Named<EndInput, tf.Tensor>;
  words: Named<EndInput, tf.Tensor>;
  /** ε of the norm. */
  epsilon: number;
}

/** The last norm's weight [dModel], the embedding [V,dModel], and the head [dModel,V], absent where it is the embedding. */
export const endInputs = ['normWeight', 'table', 'head'] as const;

export type EndInput = (typeof endInputs)[number];

/** An open decoder; who opens one closes it. */
export interface TokenDecoder {
  /** Whether its weights are still those of the model. */
  readonly isCurrent: boolean;
  /** Reads an id of each row and gives of each row's logits the `most` likeliest, as `topLogits` does. */
  nextTop(ids: readonly number[], most: number, vocabSize: number): TopLogits[];
  /** Reads an id of each row and gives all logits [B·V], which are overwritten by the next call. */
  nextLogits(ids: readonly number[]): Float32Array;
  /** What the state is now, in the shapes of those that it was opened with. */
  states(): Array<Record<string, tf.Tensor>>;
  close(): void;
}
