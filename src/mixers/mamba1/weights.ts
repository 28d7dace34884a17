/** Every weight of a Mamba-1 mixer: name, place in published files, shape, start (paper, section 3.6). */
import * as tf from '@tensorflow/tfjs';
import {fanIn, logRange, ones, stepSizeBias, uniform, zeros} from '../initializers';
import type {Weight} from '../weight';
import type {WeightSpec} from '../weightSpec';
import {coefficient, lastMatrix, matrix, taps} from '../weightSpec';
import type {MixerConfig} from './config';

/** The values of the weights; the biases that the configuration leaves out are absent. */
export type Mamba1Weights = Record<'inProj/kernel' | 'xProj/kernel' | 'dtProj/kernel' | 'outProj/kernel', Weight> &
  Record<'conv/weight' | 'dtProj/bias' | 'ALog' | 'D', tf.Tensor> & {
    [Name in 'inProj/bias' | 'conv/bias' | 'outProj/bias']?: tf.Tensor;
  };

export function mamba1WeightSpecs(config: MixerConfig): Array<WeightSpec<keyof Mamba1Weights>> {
  const {dModel, dInner, dState, dConv, dtRank, dtInit, dtScale, convBias, useBias} = config;
  const dtBound = dtRank ** -0.5 * dtScale;
  const startOfDtProj =
    dtInit === 'constant' ? (shape: readonly number[]) => tf.fill([...shape], dtBound) : uniform(dtBound);
  const selection = dtRank + 2 * dState;
  return [
    matrix('inProj/kernel', 'in_proj.weight', [dModel, 2 * dInner], fanIn(dModel)),
    ...(useBias ? [coefficient('inProj/bias', 'in_proj.bias', [2 * dInner], zeros)] : []),
    taps('conv/weight', 'conv1d.weight', [dInner, dConv], fanIn(dConv)),
    ...(convBias ? [coefficient('conv/bias', 'conv1d.bias', [dInner], fanIn(dConv))] : []),
    matrix('xProj/kernel', 'x_proj.weight', [dInner, selection], fanIn(dInner)),
    matrix('dtProj/kernel', 'dt_proj.weight', [dtRank, dInner], startOfDtProj, {hasOwnStart: true}),
    coefficient('dtProj/bias', 'dt_proj.bias', [dInner], stepSizeBias(config)),
    coefficient('ALog', 'A_log', [dInner, dState], logRange),
    coefficient('D', 'D', [dInner], ones),
    lastMatrix('outProj/kernel', 'out_proj.weight', [dInner, dModel], fanIn(dInner)),
    ...(useBias ? [coefficient('outProj/bias', 'out_proj.bias', [dModel], zeros)] : []),
  ];
}
