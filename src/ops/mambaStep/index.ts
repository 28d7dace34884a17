/**
 * One token through a stack of Mamba blocks, for decoding. Op by op that is some fifteen kernels a block, and dispatching them costs a
 * small model, and any model on a GPU, more than the arithmetic; a backend may do a block in few, or all of them in one call. It is an
 * accelerator, which a backend has or has not: what a block is says `src/mixers`, which asks here before it calls.
 */
import * as tf from '@tensorflow/tfjs';
import {hasKernel} from '../../backends/engine';
import {checkKeys, checkNotEmpty, checkPositive, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import type {BlockInput, BlockInputs} from './kernels';
import {blockInputs, mambaStepKernel, runMambaStep} from './kernels';

/** The arguments of {@link mambaStep}. B = batch, E = dInner, N = dState, K = dConv, R = dtRank. */
interface MambaStepArgs {
  /** The token's vector in each row [B,dModel]. */
  x: tf.Tensor;
  /** States and weights of the blocks, first to last. All are of the shapes of the first, and have the biases that it has. */
  blocks: readonly BlockInputs[];
  /** ε of the norms; 1e-5 if absent. */
  epsilon?: number;
  /**
   * ε of RMS norms without weight on dt, B and C, as FalconMamba has them (`mixer_rms_eps` and `rms_forward` of transformers'
   * `modeling_falcon_mamba.py`); if absent, there are no such norms.
   */
  mixerEpsilon?: number;
}

/** What {@link mambaStep} returns. */
type MambaStepResult = {
  /** Output of the last block [B,dModel]. */
  y: tf.Tensor2D;
  /** Of every block, the last K-1 inputs of its convolution [B,K-1,E] and the state of its scan [B,E,N]. */
  states: Array<{conv: tf.Tensor3D; ssm: tf.Tensor3D}>;
};

const OP = 'mambaStep';

/** Whether the current backend has such a kernel. */
export function hasMambaStep(): boolean {
  return hasKernel(mambaStepKernel.kernelName);
}

/**
 * Block after block `x ← x + outProj(scan step(conv step(inProj(norm(x)))))`, and the next states, as state-spaces' `Block.step` has it.
 * Not differentiable.
 *
 * @throws Error naming the argument whose shape or dtype is wrong.
 */
export function mambaStep(args: MambaStepArgs): MambaStepResult {
  return tf.tidy(OP, () => {
    checkKeys(OP, args, ['x', 'blocks', 'epsilon', 'mixerEpsilon']);
    const {epsilon = 1e-5, mixerEpsilon} = args;
    checkPositive(OP, 'epsilon', epsilon);
    if (mixerEpsilon !== undefined) checkPositive(OP, 'mixerEpsilon', mixerEpsilon);
    const x = toTensor(OP, 'x', args.x);
    checkRank(OP, 'x', x, 2, '[batch, dModel]');
    checkNotEmpty(OP, 'x', x);
    if (!Array.isArray(args.blocks) || args.blocks.length === 0) {
      throw new Error(`${OP}: blocks must be a list of at least one block`);
    }
    const blocks = args.blocks.map((block: BlockInputs, i) => toBlock(`blocks[${i}].`, block));
    const shapes = blockShapes(x.shape as [number, number], blocks[0]);
    blocks.forEach((block, i) => checkBlock(`blocks[${i}].`, block, shapes, blocks[0]));
    if (!hasMambaStep()) throw new Error(`${OP}: the backend ${tf.getBackend()} has no kernel for it`);
    const inputs = blocks.map((floats) => ({floats}));
    return runMambaStep(x, inputs, {epsilon, mixerEpsilon}) as MambaStepResult;
  });
}

const isOptional = (name: BlockInput) => name.endsWith('Bias') && name !== 'dtBias';

function toBlock(prefix: string, block: BlockInputs): BlockInputs {
  checkKeys(OP, block, blockInputs);
  const tensors: Partial<Record<BlockInput, tf.Tensor>> = {};
  for (const name of blockInputs) {
    const tensor = (isOptional(name) ? toOptionalTensor : toTensor)(OP, prefix + name, block[name]);
    if (tensor !== undefined) tensors[name] = tensor;
  }
  return tensors as BlockInputs;
}

/** The shapes that x and the first block's ALog, convWeight and dtProj imply. */
function blockShapes([batch, dModel]: [number, number], first: BlockInputs): Record<BlockInput, number[]> {
  const axes = {ALog: '[dInner, dState]', convWeight: '[dInner, width]', dtProj: '[dtRank, dInner]'};
  for (const [name, meaning] of Object.entries(axes)) {
    const tensor = first[name as keyof typeof axes];
    checkRank(OP, `blocks[0].${name}`, tensor, 2, meaning);
    checkNotEmpty(OP, `blocks[0].${name}`, tensor);
  }
  const [dInner, dState] = first.ALog.shape as [number, number];
  const width = first.convWeight.shape[1]!;
  const rank = first.dtProj.shape[0];
  return {
    conv: [batch, width - 1, dInner],
    ssm: [batch, dInner, dState],
    normWeight: [dModel],
    inProj: [dModel, 2 * dInner],
    inProjBias: [2 * dInner],
    convWeight: [dInner, width],
    convBias: [dInner],
    xProj: [dInner, rank + 2 * dState],
    dtProj: [rank, dInner],
    dtBias: [dInner],
    ALog: [dInner, dState],
    D: [dInner],
    outProj: [dInner, dModel],
    outProjBias: [dModel],
  };
}

function checkBlock(
  prefix: string,
  block: BlockInputs,
  shapes: Record<BlockInput, number[]>,
  first: BlockInputs,
): void {
  for (const name of blockInputs) {
    if ((block[name] === undefined) !== (first[name] === undefined)) {
      throw new Error(`${OP}: ${prefix}${name} must be ${first[name] ? 'given' : 'absent'}, as in blocks[0]`);
    }
    const meaning = "the shape that x and the first block's ALog, convWeight and dtProj imply";
    checkShape(OP, prefix + name, block[name], shapes[name], meaning);
  }
}
