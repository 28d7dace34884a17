/** One token through a stack of blocks, made of the ops of this package: the form of every backend without a fused one. */
import * as tf from '@tensorflow/tfjs';
import {runCausalConv1dUpdate} from '../causalConv1dUpdate/kernels';
import {runLinear} from '../linear/kernels';
import {runRmsNorm} from '../rmsNorm/kernels';
import {runSelectiveStateUpdate} from '../selectiveStateUpdate/kernels';
import {offerComposedList} from '../kernel';
import type {BlockInputs, StepAttrs} from './kernels';
import {blocksOf, mambaStepKernel} from './kernels';

export function mambaStepComposed(x: tf.Tensor, blocks: readonly BlockInputs[], attrs: StepAttrs): tf.Tensor[] {
  let y = x;
  const states = blocks.map((block) => {
    const next = tf.tidy(() => stepBlock(y, block, attrs));
    y = next.y;
    return next;
  });
  return [y, ...states.map(({conv}) => conv), ...states.map(({ssm}) => ssm)];
}

function stepBlock(x: tf.Tensor, block: BlockInputs, {epsilon}: StepAttrs) {
  const {conv, ssm, normWeight, inProj, inProjBias, convWeight, convBias} = block;
  const {xProj, dtProj, dtBias, ALog, D, outProj, outProjBias} = block;
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
  return {y: x.add(out), conv: nextConv, ssm: nextSsm};
}

offerComposedList(mambaStepKernel, (inputs, attrs) =>
  mambaStepComposed(inputs[0], blocksOf(inputs, attrs.present), attrs),
);
