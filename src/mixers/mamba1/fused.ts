/**
 * A token through a stack of blocks by the one kernel that some backends have for it. It comes with the kernel (src/kernels), so that no
 * page has it that cannot use it.
 */
import type * as tf from '@tensorflow/tfjs';
import {hasMambaStep, mambaStep} from '../../ops/mambaStep';
import type {BlockInput, BlockInputs} from '../../ops/mambaStep/kernels';
import {denseWeights} from '../fusedInputs';
import type {Weights} from '../mixer';
import type {MixerConfig} from './config';
import {mamba1} from './index';
import type {LayerState} from './run';

/** What the kernel calls the weights of a block. */
const inputNames: Record<string, BlockInput> = {
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

/** Undefined where the backend has no such kernel, or a block has what the kernel cannot take. */
function stepMamba1Blocks(
  blocks: ReadonlyArray<{weights: Weights; config: MixerConfig & {epsilon: number}}>,
  x: tf.Tensor2D,
  states: readonly LayerState[],
): {y: tf.Tensor2D; states: LayerState[]} | undefined {
  if (!hasMambaStep()) return undefined;
  const inputs = blocks.map(({weights}) => denseWeights(weights, inputNames));
  if (!inputs.every((block) => block !== undefined)) return undefined;
  const {epsilon, mixerEpsilon} = blocks[0].config;
  const withStates = inputs.map((block, i) => ({...block, ...states[i]}) as BlockInputs);
  return mambaStep({x, blocks: withStates, epsilon, mixerEpsilon});
}
