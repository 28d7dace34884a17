/**
 * The kernel of one token through a stack of Mamba blocks: inputs in order, attributes. Not differentiable: who wants gradients runs
 * the ops it is made of.
 *
 * Its inputs are x [B,dModel] and then those of the blocks (chain.ts), which are of one shape. Its outputs are y [B,dModel], the next
 * `conv` of every block and the next `ssm` of every block.
 *
 * B = batch, E = dInner, N = dState, K = dConv, R = dtRank.
 */
import type * as tf from '@tensorflow/tfjs';
import type {ChainAttrs, ChainBlock} from '../chain';
import {chainInputs} from '../chain';
import type {Named} from '../kernel';
import {byName, defineListKernel} from '../kernel';

export const blockInputs = [
  'conv', // [B,K-1,E]
  'ssm', // [B,E,N]
  'normWeight', // [dModel]
  'inProj', // [dModel,2E]
  'inProjBias', // [2E], optional
  'convWeight', // [E,K]
  'convBias', // [E], optional
  'xProj', // [E,R+2N]
  'dtProj', // [R,E]
  'dtBias', // [E]
  'ALog', // [E,N]
  'D', // [E]
  'outProj', // [E,dModel]
  'outProjBias', // [dModel], optional
] as const;

export type BlockInput = (typeof blockInputs)[number];
type OptionalInput = 'inProjBias' | 'convBias' | 'outProjBias';

/** The states and weights of one block. */
export type BlockInputs<T = tf.Tensor> = Record<Exclude<BlockInput, OptionalInput>, T> & Named<OptionalInput, T>;

export interface StepAttrs {
  /** ε of the norms. */
  epsilon: number;
  /** ε of the norms without weight on dt, B and C, as FalconMamba has them; without it there are none. */
  mixerEpsilon?: number;
}

export const mambaStepKernel = defineListKernel<StepAttrs & ChainAttrs>('MambaStep');

/** Runs the kernel. Every block must have the inputs that the first has; that of TensorFlow on a CPU alone takes packed matrices. */
export function runMambaStep(
  x: tf.Tensor,
  blocks: ReadonlyArray<ChainBlock<BlockInput>>,
  attrs: StepAttrs,
): {y: tf.Tensor; states: Array<{conv: tf.Tensor; ssm: tf.Tensor}>} {
  const {floats, words, attrs: given} = chainInputs(blockInputs, blocks);
  const [y, ...states] = mambaStepKernel([x, ...floats, ...words], {...attrs, ...given});
  return {y, states: blocks.map((_, i) => ({conv: states[i], ssm: states[blocks.length + i]}))};
}

/** What a kernel was handed, block by block. */
export function blocksOf<T>(inputs: readonly T[], present: readonly string[]): Array<BlockInputs<T>> {
  const count = (inputs.length - 1) / present.length;
  return Array.from({length: count}, (_, i) => {
    const from = 1 + i * present.length;
    return byName<BlockInput, T>(inputs.slice(from, from + present.length), present) as BlockInputs<T>;
  });
}
