/**
 * Linear attention (Katharopoulos et al. 2020, arXiv 2006.16236), φ(x) = elu(x) + 1, with a short convolution on queries, keys and values
 * in place of position embeddings, so that any length can be read. It is Mamba-2's scan without decay and with a step size of 1
 * (Dao & Gu 2024, section 2), so that runs it.
 *
 *   y_t = φ(q_t)·Σ_{s≤t} φ(k_s) v_sᵀ / φ(q_t)·Σ_{s≤t} φ(k_s): the divisor is the sum with a 1 in the place of v
 */
import * as tf from '@tensorflow/tfjs';
import type {Mixer, Weight, Weights} from '../../src';
import {causalConv1d, ssd, weights as products} from '../../src';
import {integerOrAuto, positiveInteger, wrongField} from '../../src/mixers/fields';
import {fanIn} from '../../src/mixers/initializers';
import {convolvePadded} from '../../src/mixers/masking';
import {lastMatrix, matrix, taps} from '../../src/mixers/weightSpec';

interface Config {
  dModel: number;
  dHidden: number;
  heads: number;
  dConv: number;
}

export const linearAttention: Mixer<Config, {conv: tf.Tensor3D; sums: tf.Tensor4D}> = {
  name: 'linear-attention',
  fields: {heads: positiveInteger(4), dConv: positiveInteger(4), dHidden: integerOrAuto},
  configure(owner, given, dModel) {
    const {heads, dConv, dHidden: stated} = given as Omit<Config, 'dHidden'> & {dHidden: number | 'auto'};
    const dHidden = stated === 'auto' ? 2 * dModel : stated;
    if (dHidden % heads !== 0) throw wrongField(owner, 'heads', `a divisor of dHidden, ${dHidden}`, heads);
    return {dModel, dHidden, heads, dConv};
  },
  weights: ({dModel, dHidden, dConv}) => [
    matrix('qkv/kernel', 'qkv.weight', [dModel, 3 * dHidden], fanIn(dModel)),
    taps('conv/weight', 'conv1d.weight', [3 * dHidden, dConv], fanIn(dConv)),
    lastMatrix('out/kernel', 'out.weight', [dHidden, dModel], fanIn(dHidden)),
  ],
  states: {
    conv: ({dConv, dHidden}) => [dConv - 1, 3 * dHidden],
    sums: ({dHidden, heads}) => [heads, dHidden / heads + 1, dHidden / heads],
  },
  lookBack: ({dConv}) => dConv - 1,
  run(weights: Weights, {heads, dHidden}, x, state, context) {
    const [batch, length] = x.shape;
    const qkv = products.linear({x, weight: weights['qkv/kernel'] as Weight}) as tf.Tensor3D;
    const conv = convolvePadded(context?.padding, qkv, state?.conv, (given, initialState) =>
      causalConv1d({x: given, weight: weights['conv/weight'] as tf.Tensor2D, activation: 'silu', initialState}),
    );
    const perHead = (t: tf.Tensor) => t.reshape<tf.Tensor4D>([batch, length, heads, dHidden / heads]); // [B,L,H,P]
    const [q, k, v] = tf.split(conv.y, 3, -1).map(perHead);
    const real = context?.padding?.mask ?? tf.ones([1, 1, 1]);
    const {y: sums, finalState} = ssd({
      u: tf.concat([v, tf.ones([batch, length, heads, 1])], -1),
      delta: real.mul<tf.Tensor3D>(tf.ones([batch, length, heads])),
      A: tf.zeros([heads]),
      B: k.elu().add(1),
      C: q.elu().add(1),
      initialState: state?.sums,
    });
    const [weighted, total] = tf.split(sums, [dHidden / heads, 1], -1);
    const mixed = weighted.div(total.add(EPSILON)).reshape<tf.Tensor3D>([batch, length, dHidden]);
    const y = products.linear({x: mixed, weight: weights['out/kernel'] as Weight}) as tf.Tensor3D;
    return {y, state: {conv: conv.finalState, sums: finalState}};
  },
  step(weights, config, x, state) {
    const {y, state: next} = linearAttention.run(weights, config, x.expandDims(1), state);
    return {y: y.squeeze([1]), state: next};
  },
};

/** Rows that are padding up to here have nothing to divide by. */
const EPSILON = 1e-6;
