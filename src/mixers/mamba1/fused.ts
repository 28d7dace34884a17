/**
 * A token through a stack of blocks by the one kernel that some backends have for it. It comes with the kernel (src/kernels), so that no
 * page has it that cannot use it.
 */
import type * as tf from '@tensorflow/tfjs';
import {hasMambaStep} from '../../ops/mambaStep';
import type {BlockInput, StepAttrs} from '../../ops/mambaStep/kernels';
import {runMambaStep} from '../../ops/mambaStep/kernels';
import {kernelBlocks} from '../fusedInputs';
import type {Weights} from '../mixer';
import type {MixerConfig} from './config';
import {mamba1} from './index';
import type {LayerState} from './run';

/** What the kernel calls the weights of a block. */
export const inputNames: Record<string, BlockInput> = {
  'norm/weight': 'normWeight',
  'mixer/inProj/kernel': 'inProj',
  'mixer/inProj/bias': 'inProjBias',
  'mixer/conv/weight': 'convWeight',
  'mixer/conv/bias': 'convBias',
  'mixer/xProj/kernel': 'xProj',
  'mixer/dtProj/kernel': 'dtProj',
  'mixer/dtProj/bias': 'dtBias',
  'mixer/ALog': 'ALog',
  'mixer/D': 'D',
  'mixer/outProj/kernel': 'outProj',
  'mixer/outProj/bias': 'outProjBias',
};

mamba1.stepBlocks = stepMamba1Blocks;

type Blocks = ReadonlyArray<{weights: Weights; config: MixerConfig & {epsilon: number}}>;

/** What the kernel is told of the configuration. */
export function stepAttrs([{config}]: Blocks): StepAttrs {
  return {epsilon: config.epsilon, mixerEpsilon: config.mixerEpsilon};
}

/** Undefined where the backend has no such kernel, or a block has what the kernel cannot take. */
function stepMamba1Blocks(
  blocks: Blocks,
  x: tf.Tensor2D,
  states: readonly LayerState[],
): {y: tf.Tensor2D; states: LayerState[]} | undefined {
  if (!hasMambaStep()) return undefined;
  const inputs = kernelBlocks(blocks, states, inputNames);
  return inputs && (runMambaStep(x, inputs, stepAttrs(blocks)) as {y: tf.Tensor2D; states: LayerState[]});
}
