/**
 * The residual block around a mixer: x + mixer(RMSNorm(x)), what a deep model stacks (state-spaces `block.py`, with the sum at the
 * block's end). It is a mixer itself, so layers and models need to know of nothing else.
 */
import * as tf from '@tensorflow/tfjs';
import {isRecording} from '../backends/engine';
import type {ModelEnds, TokenDecoder} from '../ops/decoder';
import {rmsNormOutputs} from '../ops/rmsNorm';
import type {Fields} from './fields';
import {positiveNumber} from './fields';
import {ones} from './initializers';
import {zeroedAt} from './masking';
import type {AnyMixer, Mixer, State, Weights} from './mixer';
import type {Weight} from './weight';
import {coefficient} from './weightSpec';

/** The field that a block adds to those of its mixer. */
export const blockFields: Fields<{epsilon?: number}> = {epsilon: positiveNumber(1e-5)};

/** Configuration of a block: that of its mixer, and the ε of the norm. */
export type BlockConfig<C extends object = object> = C & {dModel: number; epsilon: number};

/** The block of a mixer; that of a mixer which is a block already is itself, with the ε that its norms read. */
export function residualBlock<C extends {dModel: number}, S extends State, W>(
  mixer: Mixer<C, S, W>,
): Mixer<BlockConfig<C>, S> {
  const common = {
    fields: {...mixer.fields, ...blockFields},
    configure: (owner: string, given: object, dModel: number): BlockConfig<C> => {
      const {epsilon} = given as {epsilon: number};
      return {...mixer.configure(owner, given, dModel), epsilon};
    },
  };
  // What follows knows its complete configuration, ε included.
  if (mixer.isBlock) return {...mixer, ...common} as Mixer<BlockConfig<C>, S>;
  const normalize = <T extends tf.Tensor>(weights: Weights, {epsilon}: BlockConfig, x: T, passes = false) =>
    rmsNormOutputs({x, weight: weights['norm/weight'] as tf.Tensor1D, epsilon}, passes) as {y: T; residual?: T};
  return {
    name: mixer.name,
    ...common,
    check: mixer.check,
    weights: (config) => [
      coefficient('norm/weight', 'norm.weight', [config.dModel], ones),
      ...mixer
        .weights(config)
        .map((spec) => ({...spec, name: `mixer/${spec.name}`, published: `mixer.${spec.published}`})),
    ],
    states: mixer.states,
    takesSequenceIds: mixer.takesSequenceIds,
    lookBack: (config) => mixer.lookBack(config),
    run(weights, config, x, state, context) {
      const zeroed = zeroedAt(context?.padding, x);
      const {y: normalized, residual = x} = normalize(weights, config, zeroed, zeroed === x);
      const input = context?.drop?.(normalized) ?? normalized;
      const mixed = mixer.run(ofMixer(weights) as W, config, input, state, context);
      return {y: residual.add<tf.Tensor3D>(mixed.y), state: mixed.state};
    },
    step(weights, config, x, state) {
      const mixed = mixer.step(ofMixer(weights) as W, config, normalize(weights, config, x).y, state);
      return {y: x.add<tf.Tensor2D>(mixed.y), state: mixed.state};
    },
    inside: mixer,
    published: mixer.published,
  };
}

/** The mixer's weights under its own names. */
export function ofMixer(weights: Weights): Weights {
  const own = Object.entries(weights).filter(([name]) => name.startsWith('mixer/'));
  return Object.fromEntries(own.map(([name, weight]) => [name.slice('mixer/'.length), weight]));
}

/** A block with its weights: one link of a chain. */
export interface Block {
  mixer: AnyMixer;
  config: object;
  weights: Weights;
}

/** The ends of a language model around a chain of blocks: the last norm, the embedding, and the head where it is another matrix. */
export interface ChainEnds {
  norm: tf.Tensor;
  epsilon: number;
  table: Weight;
  head?: Weight;
}

/** Opens a chain for decoding from these states; undefined where the backend or a weight does not allow it. The states are copied. */
export function openChain(
  blocks: readonly Block[],
  states: readonly State[],
  {norm, epsilon, table, head}: ChainEnds,
): TokenDecoder | undefined {
  const {inside} = blocks[0].mixer;
  if (!inside?.openBlocks || isRecording() || !blocks.every(({mixer}) => mixer.inside === inside)) return undefined;
  const ends: ModelEnds = {floats: {normWeight: norm}, words: {}, epsilon};
  for (const [name, weight] of [
    ['table', table],
    ['head', head],
  ] as const) {
    if (weight === undefined) continue;
    if (weight.form === 'lora') return undefined;
    if (weight.form === 'dense') ends.floats[name] = weight.value;
    else ends.words[name] = weight.words;
    if (weight.form === 'packed') ends.floats[name] = weight.scales;
  }
  return inside.openBlocks(blocks, states, ends);
}

/**
 * One position through a chain of blocks: x [B,dModel] and a state for each block → y of the shape of x and the next states. Where the
 * backend has an accelerator for it, that runs, unless a gradient is wanted: accelerators have none.
 */
export function stepChain(
  blocks: readonly Block[],
  x: tf.Tensor2D,
  states: readonly State[],
): {y: tf.Tensor2D; states: State[]} {
  const {inside} = blocks[0].mixer;
  if (inside && !isRecording() && blocks.every(({mixer}) => mixer.inside === inside)) {
    const fused = inside.stepBlocks?.(blocks, x, states);
    if (fused) return fused;
  }
  let y = x;
  const next = blocks.map((block, i) => {
    const result = tf.tidy(() => block.mixer.step(block.weights, block.config, y, states[i]));
    y = result.y;
    return result.state as State;
  });
  return {y, states: next};
}
