/**
 * The kernel of one token through a stack of Mamba-2 blocks: inputs in order, attributes. Not differentiable, and no definition of a
 * block: that is the mixer's (src/mixers/mamba2), which asks for it where a backend has it.
 *
 * Its inputs are x [B,dModel] and then those of the blocks (chain.ts), which are of one shape. Its outputs are y [B,dModel], the next
 * `conv` of every block and the next `ssm` of every block.
 *
 * B = batch, H = heads, P = headDim, E = dInner = H·P, N = dState, G = nGroups, W = E+2GN, K = dConv.
 */
import type * as tf from '@tensorflow/tfjs';
import type {ChainAttrs, ChainBlock} from '../chain';
import {chainInputs} from '../chain';
import {defineListKernel} from '../kernel';

export const mamba2BlockInputs = [
  'conv', // [B,K-1,W]
  'ssm', // [B,H,P,N]
  'normWeight', // [dModel]
  'inProj', // [dModel,E+W+H]: z, then x, B and C, then Δ
  'inProjBias', // [E+W+H], optional
  'convWeight', // [W,K]
  'convBias', // [W], optional
  'dtBias', // [H]
  'ALog', // [H]
  'D', // [H] or [E]
  'gatedNormWeight', // [E], optional: without it the output is gated and not normalized
  'outProj', // [E,dModel]
  'outProjBias', // [dModel], optional
] as const;

export type Mamba2BlockInput = (typeof mamba2BlockInputs)[number];

export interface Mamba2StepAttrs {
  /** ε of the norms, those before the mixers and the gated ones. */
  epsilon: number;
  /** Of the gated norms, the groups of channels that they normalize apart, and whether the gate comes after them. */
  normGroups: number;
  normBeforeGate: boolean;
  /** Limits of the step size. Float32 and finite. */
  deltaMin: number;
  deltaMax: number;
}

export const mamba2StepKernel = defineListKernel<Mamba2StepAttrs & ChainAttrs>('Mamba2Step');

/** Runs the kernel. Every block must have the inputs that the first has. */
export function runMamba2Step(
  x: tf.Tensor,
  blocks: ReadonlyArray<ChainBlock<Mamba2BlockInput>>,
  attrs: Mamba2StepAttrs,
): {y: tf.Tensor; states: Array<{conv: tf.Tensor; ssm: tf.Tensor}>} {
  const {floats, words, attrs: given} = chainInputs(mamba2BlockInputs, blocks);
  const [y, ...states] = mamba2StepKernel([x, ...floats, ...words], {...attrs, ...given});
  return {y, states: blocks.map((_, i) => ({conv: states[i], ssm: states[blocks.length + i]}))};
}
