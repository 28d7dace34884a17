/**
 * A token through a stack of blocks by the one kernel that TensorFlow on a CPU has for it. It comes with the kernel (src/kernels), so that
 * no page has it that cannot use it.
 */
import type * as tf from '@tensorflow/tfjs';
import {hasMamba2Step} from '../../ops/mamba2Step';
import type {Mamba2BlockInput, Mamba2StepAttrs} from '../../ops/mamba2Step/kernels';
import {runMamba2Step} from '../../ops/mamba2Step/kernels';
import {LARGEST} from '../../ops/ssd/stepSize';
import {kernelBlocks} from '../fusedInputs';
import type {Weights} from '../mixer';
import type {Mamba2Config} from './config';
import {mamba2} from './index';
import type {Mamba2State} from './run';

/** What the kernel calls the weights of a block. */
export const inputNames: Record<string, Mamba2BlockInput> = {
  'norm/weight': 'normWeight',
  'mixer/inProj/kernel': 'inProj',
  'mixer/inProj/bias': 'inProjBias',
  'mixer/conv/weight': 'convWeight',
  'mixer/conv/bias': 'convBias',
  'mixer/dtBias': 'dtBias',
  'mixer/ALog': 'ALog',
  'mixer/D': 'D',
  'mixer/norm/weight': 'gatedNormWeight',
  'mixer/outProj/kernel': 'outProj',
  'mixer/outProj/bias': 'outProjBias',
};

mamba2.stepBlocks = stepMamba2Blocks;

type Blocks = ReadonlyArray<{weights: Weights; config: Mamba2Config & {epsilon: number}}>;

/** What the kernel is told of the configuration. */
export function stepAttrs([{config}]: Blocks): Mamba2StepAttrs {
  const {epsilon, normGroups, normBeforeGate, dtLimit} = config;
  return {epsilon, normGroups, normBeforeGate, deltaMin: dtLimit[0], deltaMax: Math.min(dtLimit[1], LARGEST)};
}

/** Undefined where the backend has no such kernel, or a block has what the kernel cannot take. */
function stepMamba2Blocks(
  blocks: Blocks,
  x: tf.Tensor2D,
  states: readonly Mamba2State[],
): {y: tf.Tensor2D; states: Mamba2State[]} | undefined {
  if (!hasMamba2Step()) return undefined;
  const inputs = kernelBlocks(blocks, states, inputNames);
  return inputs && (runMamba2Step(x, inputs, stepAttrs(blocks)) as {y: tf.Tensor2D; states: Mamba2State[]});
}
