/**
 * The kernel of one token through one Mamba block: inputs in order, attributes. Not differentiable: who wants gradients runs the ops
 * it is made of.
 *
 * B = batch, E = dInner, N = dState, K = dConv, R = dtRank.
 */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import {defineKernel} from '../kernel';
import {mambaStepComposed} from './composed';

export const stepInputs = [
  'x', // [B,dModel]
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

export type StepInput = (typeof stepInputs)[number];
type OptionalInput = 'inProjBias' | 'convBias' | 'outProjBias';

export type StepInputs<T = tf.Tensor> = Record<Exclude<StepInput, OptionalInput>, T> & Named<OptionalInput, T>;

export interface StepAttrs {
  /** ε of the norm. */
  epsilon: number;
}

/** y = x + mixer(norm(x)) [B,dModel], and the next conv [B,K-1,E] and ssm [B,E,N]. */
export const runMambaStep = defineKernel<StepInput, StepAttrs>({
  kernelName: 'MambaStep',
  order: stepInputs,
  composed: mambaStepComposed,
});
