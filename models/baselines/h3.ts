/**
 * A gated convolution: H3 (Fu et al. 2022, arXiv 2212.14052; paper, table 1: "H3, S4"). A short convolution on the keys, a long one (S4D)
 * on keys ⊙ values, and the queries as a gate: multiplications depend on the input, the convolutions do not.
 */
import * as tf from '@tensorflow/tfjs';
import type {Mixer, Weight, Weights} from '../../src';
import {causalConv1d, weights as products} from '../../src';
import {integerOrAuto, positiveInteger} from '../../src/mixers/fields';
import {fanIn} from '../../src/mixers/initializers';
import {convolvePadded} from '../../src/mixers/masking';
import {lastMatrix, matrix, taps} from '../../src/mixers/weightSpec';
import {diagonalSsm, diagonalSsmWeights} from './diagonalSsm';

interface Config {
  dModel: number;
  dHidden: number;
  dState: number;
  dConv: number;
}

export const h3: Mixer<Config, {conv: tf.Tensor3D; ssm: tf.Tensor3D}> = {
  name: 'h3',
  fields: {dState: positiveInteger(16), dConv: positiveInteger(4), dHidden: integerOrAuto},
  configure(_, given, dModel) {
    const {dState, dConv, dHidden} = given as Omit<Config, 'dHidden'> & {dHidden: number | 'auto'};
    return {dModel, dState, dConv, dHidden: dHidden === 'auto' ? Math.floor(1.65 * dModel) : dHidden};
  },
  weights: ({dModel, dHidden, dState, dConv}) => [
    matrix('qkv/kernel', 'qkv.weight', [dModel, 3 * dHidden], fanIn(dModel)),
    taps('conv/weight', 'conv1d.weight', [dHidden, dConv], fanIn(dConv)),
    ...diagonalSsmWeights(dHidden, dState),
    lastMatrix('out/kernel', 'out.weight', [dHidden, dModel], fanIn(dHidden)),
  ],
  states: {conv: ({dConv, dHidden}) => [dConv - 1, dHidden], ssm: ({dHidden, dState}) => [dHidden, dState]},
  lookBack: ({dConv}) => dConv - 1,
  run(weights: Weights, _, x, state, context) {
    const qkv = products.linear({x, weight: weights['qkv/kernel'] as Weight});
    const [q, k, v] = tf.split<tf.Tensor3D>(qkv, 3, -1);
    const shifted = convolvePadded(context?.padding, k, state?.conv, (given, initialState) =>
      causalConv1d({x: given, weight: weights['conv/weight'] as tf.Tensor2D, initialState}),
    );
    const scan = diagonalSsm(weights, shifted.y.mul(v), state?.ssm, context?.padding);
    const y = products.linear({x: q.mul(scan.y), weight: weights['out/kernel'] as Weight}) as tf.Tensor3D;
    return {y, state: {conv: shifted.finalState, ssm: scan.finalState}};
  },
  step(weights, config, x, state) {
    const {y, state: next} = h3.run(weights, config, x.expandDims(1), state);
    return {y: y.squeeze([1]), state: next};
  },
};
