/**
 * What a mixer is: plain data and functions, from which everything else about it follows. Layers make its weights and keep its states,
 * models stack it, checkpoints name its weights, and none of them knows which one it is. A mixer is a folder here and a line in
 * `index.ts`; somebody else's is registered by `registerMixer`.
 */
import type * as tf from '@tensorflow/tfjs';
import type {ModelEnds, TokenDecoder} from '../ops/decoder';
import type {FieldTable} from './fields';
import type {Padding} from './masking';
import type {Published} from './published';
import type {Weight} from './weight';
import type {WeightSpec} from './weightSpec';

/** What a mixer carries from one position, or one chunk, to the next. Plain values: whoever gets one disposes it. */
export type State = Record<string, tf.Tensor>;

/** Weights by the names in their specs: a {@link Weight} where the spec says `isMatrix`, else a tensor. */
export type Weights = Record<string, tf.Tensor | Weight | undefined>;

/** What there is to know of a sequence besides its values. */
export interface RunContext {
  /** Where it is padding, if anywhere; the real positions are at the right end of each row. */
  padding?: Padding;
  /** Drops some of the inputs [B,L,dModel] of a mixer, while training. A layer calls it, or the block that is between them. */
  drop?(x: tf.Tensor3D): tf.Tensor3D;
  /** Packed documents, int32 [B,L]: wherever the id changes along a row another begins, which is to be what it is alone. */
  sequenceIds?: tf.Tensor2D;
}

/** C = its configuration, complete; S = its state; W = its weights. */
export interface Mixer<C extends object = object, S extends State = State, W = Weights> {
  /** What configurations call it. */
  readonly name: string;
  /** The fields of its configuration that a user writes. Each has a fallback, follows from others, or may be absent. */
  readonly fields: FieldTable;
  /**
   * Checks fields that must agree with one another, whatever the width.
   *
   * @param owner What errors name first.
   * @param given Fields that have been read by `fields`.
   */
  check?(owner: string, given: object): void;
  /**
   * The complete configuration.
   *
   * @param owner What errors name first.
   * @param given Fields that have been read and checked.
   * @param dModel Width of the input and the output.
   * @throws Error naming the field that does not fit the others.
   */
  configure(owner: string, given: object, dModel: number): C;
  /** Every weight, in order: the one table that layers, files, optimizers and counts are made from. */
  weights(config: C): WeightSpec[];
  /** The parts of the state, in order, and the shape of each without the batch; null where it grows from nothing. */
  readonly states: {readonly [Name in keyof S]: (config: C) => ReadonlyArray<number | null>};
  /** Whether `run` keeps documents apart by the `sequenceIds` of its context; without, layers refuse them. */
  readonly takesSequenceIds?: boolean;
  /** How many positions before a sequence its first outputs depend on, besides the state that decays: K-1 of a convolution. */
  lookBack(config: C): number;
  /** A sequence x [B,L,dModel] → y of the same shape, and the state after it. */
  run(weights: W, config: C, x: tf.Tensor3D, state?: S, context?: RunContext): {y: tf.Tensor3D; state: S};
  /** One position x [B,dModel] → y of the same shape, and the next state. Differentiable. */
  step(weights: W, config: C, x: tf.Tensor2D, state: S): {y: tf.Tensor2D; state: S};
  /**
   * One position through a stack of residual blocks (`block.ts`) of this mixer, all of one configuration, where the backend has
   * something faster than block after block; undefined where it has not. Never the definition; not differentiable.
   */
  stepBlocks?(
    blocks: ReadonlyArray<{weights: Weights; config: C & {epsilon: number}}>,
    x: tf.Tensor2D,
    states: readonly S[],
  ): {y: tf.Tensor2D; states: S[]} | undefined;
  /** Opens such a stack and the ends of a language model for decoding, where the backend keeps states itself; else undefined. */
  openBlocks?(
    blocks: ReadonlyArray<{weights: Weights; config: C & {epsilon: number}}>,
    states: readonly S[],
    ends: ModelEnds,
  ): TokenDecoder | undefined;
  /** Whether its norms and residual sums are its own, so that a model stacks it as it is: a block of several mixers, such as a Transformer's. */
  readonly isBlock?: boolean;
  /** Of a residual block, the mixer inside (`block.ts`). */
  readonly inside?: AnyMixer;
  /** How published files spell it; by its own names if absent. */
  readonly published?: Published;
}

/** A mixer whose types nobody needs to know. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyMixer = Mixer<any, any, any>;
