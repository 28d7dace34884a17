/** Every weight of a Mamba-2 mixer: name, place in published files, shape, start (`mamba2.py`). */
import * as tf from '@tensorflow/tfjs';
import type {Start} from '../initializers';
import {fanIn, ones, stepSizeBias, zeros} from '../initializers';
import type {Weight} from '../weight';
import type {WeightSpec} from '../weightSpec';
import {coefficient, lastMatrix, matrix, taps} from '../weightSpec';
import type {Mamba2Config} from './config';
import {convWidth, headCount} from './config';

/** The values of the weights; what the configuration leaves out is absent. */
export type Mamba2Weights = Record<'inProj/kernel' | 'outProj/kernel', Weight> &
  Record<'conv/weight' | 'dtBias' | 'ALog' | 'D', tf.Tensor> & {
    [Name in 'inProj/bias' | 'conv/bias' | 'norm/weight' | 'outProj/bias']?: tf.Tensor;
  };

/** ln of −A, which starts evenly within a range. */
const logUniform =
  ([low, high]: readonly [number, number]): Start =>
  (shape, seed) =>
    tf.tidy(() => tf.randomUniform([...shape], low, high, 'float32', seed).log());

export function mamba2WeightSpecs(config: Mamba2Config): Array<WeightSpec<keyof Mamba2Weights>> {
  const {dModel, dInner, dConv, dHasHeadDim, gatedNorm, convBias, useBias} = config;
  const heads = headCount(config);
  const channels = convWidth(config);
  const projected = dInner + channels + heads; // z, then x, B and C, then Δ
  return [
    matrix('inProj/kernel', 'in_proj.weight', [dModel, projected], fanIn(dModel)),
    ...(useBias ? [coefficient('inProj/bias', 'in_proj.bias', [projected], zeros)] : []),
    taps('conv/weight', 'conv1d.weight', [channels, dConv], fanIn(dConv)),
    ...(convBias ? [coefficient('conv/bias', 'conv1d.bias', [channels], fanIn(dConv))] : []),
    coefficient('dtBias', 'dt_bias', [heads], stepSizeBias(config)),
    coefficient('ALog', 'A_log', [heads], logUniform(config.aInitRange)),
    coefficient('D', 'D', [dHasHeadDim ? dInner : heads], ones),
    ...(gatedNorm ? [coefficient('norm/weight', 'norm.weight', [dInner], ones)] : []),
    lastMatrix('outProj/kernel', 'out_proj.weight', [dInner, dModel], fanIn(dInner)),
    ...(useBias ? [coefficient('outProj/bias', 'out_proj.bias', [dModel], zeros)] : []),
  ];
}
