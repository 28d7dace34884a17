/** One token through one block, made of the ops of this package: the form of every backend without a fused one. */
import * as tf from '@tensorflow/tfjs';
import {runCausalConv1dUpdate} from '../causalConv1dUpdate/kernels';
import {runLinear} from '../linear/kernels';
import {runRmsNorm} from '../rmsNorm/kernels';
import {runSelectiveStateUpdate} from '../selectiveStateUpdate/kernels';
import type {StepAttrs, StepInputs} from './kernels';

export function mambaStepComposed(inputs: StepInputs, {epsilon}: StepAttrs): tf.Tensor[] {
  const {x, conv, ssm, normWeight, inProj, inProjBias, convWeight, convBias} = inputs;
  const {xProj, dtProj, dtBias, ALog, D, outProj, outProjBias} = inputs;
  const dState = ALog.shape[1]!;
  const plain = {transposeKernel: false};
  const [normal] = runRmsNorm({x, weight: normWeight}, {epsilon});
  const [xs, z] = tf.split(runLinear({x: normal, kernel: inProj, bias: inProjBias}, plain)[0], 2, -1);
  const [u, nextConv] = runCausalConv1dUpdate(
    {x: xs, state: conv, weight: convWeight, bias: convBias},
    {activation: 'silu'},
  );
  const [dt, B, C] = tf.split(runLinear({x: u, kernel: xProj}, plain)[0], [dtProj.shape[0], dState, dState], -1);
  const [delta] = runLinear({x: dt, kernel: dtProj}, plain);
  const A = ALog.exp().neg();
  const [y, nextSsm] = runSelectiveStateUpdate(
    {state: ssm, u, delta, A, B: B.expandDims(1), C: C.expandDims(1), D, z, deltaBias: dtBias},
    {deltaSoftplus: true},
  );
  const [out] = runLinear({x: y, kernel: outProj, bias: outProjBias}, plain);
  return [x.add(out), nextConv, nextSsm];
}
