/** A layer of S4D without a gate (paper, table 1: "No gate, S4"): projection, long convolution, GELU, projection. */
import type * as tf from '@tensorflow/tfjs';
import type {Mixer, Weight, Weights} from '../../src';
import {weights as products} from '../../src';
import {integerOrAuto, positiveInteger} from '../../src/mixers/fields';
import {fanIn} from '../../src/mixers/initializers';
import {lastMatrix, matrix} from '../../src/mixers/weightSpec';
import {diagonalSsm, diagonalSsmWeights} from './diagonalSsm';
import {gelu} from './gelu';

interface Config {
  dModel: number;
  dHidden: number;
  dState: number;
}

export const s4d: Mixer<Config, {ssm: tf.Tensor3D}> = {
  name: 's4d-layer',
  fields: {dState: positiveInteger(16), dHidden: integerOrAuto},
  configure(_, given, dModel) {
    const {dState, dHidden} = given as Omit<Config, 'dHidden'> & {dHidden: number | 'auto'};
    return {dModel, dState, dHidden: dHidden === 'auto' ? 3 * dModel : dHidden};
  },
  weights: ({dModel, dHidden, dState}) => [
    matrix('in/kernel', 'in.weight', [dModel, dHidden], fanIn(dModel)),
    ...diagonalSsmWeights(dHidden, dState),
    lastMatrix('out/kernel', 'out.weight', [dHidden, dModel], fanIn(dHidden)),
  ],
  states: {ssm: ({dHidden, dState}) => [dHidden, dState]},
  lookBack: () => 0,
  run(weights: Weights, _, x, state, context) {
    const u = products.linear({x, weight: weights['in/kernel'] as Weight}) as tf.Tensor3D;
    const {y, finalState} = diagonalSsm(weights, u, state?.ssm, context?.padding);
    const mixed = products.linear({x: gelu(y), weight: weights['out/kernel'] as Weight});
    return {y: mixed as tf.Tensor3D, state: {ssm: finalState}};
  },
  step(weights, config, x, state) {
    const {y, state: next} = s4d.run(weights, config, x.expandDims(1), state);
    return {y: y.squeeze([1]), state: next};
  },
};
