/** S4D (Gu et al. 2022): the scan without selection, as somebody outside this package would write it. A baseline, and a mixer to test with. */
import * as tf from '@tensorflow/tfjs';
import type {Mixer, Weight} from '../../src';
import {selectiveScan, weights as products} from '../../src';

interface Config {
  dModel: number;
  dState: number;
}

type Weights = Record<'ALog' | 'B' | 'C' | 'logStep', tf.Tensor> & {'out/kernel': Weight};

const normal = (shape: readonly number[], seed?: number) => tf.randomNormal([...shape], 0, 0.5, 'float32', seed);
const plain = {layout: 'same', decays: false, isMatrix: false, endsBlock: false} as const;

export const s4d: Mixer<Config, {ssm: tf.Tensor3D}, Weights> = {
  name: 's4d',
  fields: {dState: {fallback: 4, expected: 'a positive integer', type: 'number', holds: (n) => Number(n) > 0}},
  configure: (_, given, dModel) => ({...(given as Config), dModel}),
  weights: ({dModel, dState}) => [
    ...['ALog', 'B', 'C'].map((name, i) => {
      return {
        name,
        shape: [dModel, dState],
        initialize: (seed?: number) => normal([dModel, dState], seed && seed + i),
        published: name,
        ...plain,
      };
    }),
    {name: 'logStep', shape: [dModel], initialize: () => tf.fill([dModel], -2), published: 'log_step', ...plain},
    {
      ...{name: 'out/kernel', shape: [dModel, dModel], initialize: (seed) => normal([dModel, dModel], seed)},
      ...{published: 'out.weight', layout: 'transposed', decays: true, isMatrix: true, endsBlock: true},
    },
  ],
  states: {ssm: ({dModel, dState}) => [dModel, dState]},
  lookBack: () => 0,
  run(weights, _, x, state, context) {
    const mask = context?.padding?.mask ?? tf.ones([1, 1, 1]);
    const u = tf.where(mask.cast('bool'), x, 0);
    const delta = weights.logStep.exp().mul(tf.onesLike(u)).mul<tf.Tensor3D>(mask);
    const A = weights.ALog.exp().neg() as tf.Tensor2D;
    const {y, finalState} = selectiveScan({u, delta, A, B: weights.B, C: weights.C, initialState: state?.ssm});
    return {y: products.linear({x: y, weight: weights['out/kernel']}) as tf.Tensor3D, state: {ssm: finalState}};
  },
  step(weights, config, x, state) {
    const {y, state: next} = s4d.run(weights, config, x.expandDims(1), state);
    return {y: y.squeeze([1]), state: next};
  },
};
