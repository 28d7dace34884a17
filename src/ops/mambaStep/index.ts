/**
 * One token through one Mamba block, for decoding. Op by op that is some fifteen kernels, and on a GPU the launches cost more than the
 * arithmetic; a backend may do it in few.
 */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkNotEmpty, checkPositive, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import type {StepInputs} from './kernels';
import {runMambaStep, stepInputs} from './kernels';
import '../causalConv1dUpdate';
import '../linear';
import '../rmsNorm';
import '../selectiveStateUpdate';
import './tensorflow';
import './webgpu';

/** The arguments of {@link mambaStep}. B = batch, E = dInner, N = dState, K = dConv, R = dtRank. */
export interface MambaStepArgs extends StepInputs {
  /** ε of the norm; 1e-5 if absent. */
  epsilon?: number;
}

/** What {@link mambaStep} returns. */
export type MambaStepResult = {
  /** Output [B,dModel]. */
  y: tf.Tensor2D;
  /** The last K-1 inputs of the convolution [B,K-1,E]. */
  conv: tf.Tensor3D;
  /** The state of the scan [B,E,N]. */
  ssm: tf.Tensor3D;
};

const OP = 'mambaStep';

/**
 * `y = x + outProj(scan step(conv step(inProj(norm(x)))))` and the next states, as state-spaces' `Block.step` has it. Not
 * differentiable.
 *
 * @throws Error naming the argument whose shape or dtype is wrong.
 */
export function mambaStep(args: MambaStepArgs): MambaStepResult {
  return tf.tidy(OP, () => {
    const inputs = checkStep(args);
    const [y, conv, ssm] = runMambaStep(inputs, {epsilon: args.epsilon ?? 1e-5});
    return {y: y as tf.Tensor2D, conv: conv as tf.Tensor3D, ssm: ssm as tf.Tensor3D};
  });
}

function checkStep(args: MambaStepArgs): StepInputs {
  checkKeys(OP, args, [...stepInputs, 'epsilon']);
  checkPositive(OP, 'epsilon', args.epsilon ?? 1e-5);
  const optional = ['inProjBias', 'convBias', 'outProjBias'];
  const inputs = Object.fromEntries(
    stepInputs.map((name) => [name, (optional.includes(name) ? toOptionalTensor : toTensor)(OP, name, args[name])]),
  ) as unknown as StepInputs;
  const {x, ALog, convWeight, dtProj} = inputs;
  checkRank(OP, 'x', x, 2, '[batch, dModel]');
  checkRank(OP, 'ALog', ALog, 2, '[dInner, dState]');
  checkRank(OP, 'convWeight', convWeight, 2, '[dInner, width]');
  checkRank(OP, 'dtProj', dtProj, 2, '[dtRank, dInner]');
  for (const name of ['x', 'ALog', 'convWeight', 'dtProj'] as const) checkNotEmpty(OP, name, inputs[name]);
  const [batch, dModel] = x.shape as [number, number];
  const [dInner, dState] = ALog.shape as [number, number];
  const width = convWeight.shape[1]!;
  const rank = dtProj.shape[0];
  const shapes: Record<string, number[]> = {
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
    D: [dInner],
    outProj: [dInner, dModel],
    outProjBias: [dModel],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    checkShape(
      OP,
      name,
      inputs[name as keyof StepInputs],
      shape,
      'the shape that x, ALog, convWeight and dtProj imply',
    );
  }
  return inputs;
}
