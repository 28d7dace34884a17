/** SwiGLU, the feed-forward half of a Transformer++ (Shazeer 2020, arXiv 2002.05202): (silu(x·gate) ⊙ x·up)·down. It mixes no positions. */
import * as tf from '@tensorflow/tfjs';
import type {Mixer, Weight} from '../../src';
import {weights as products} from '../../src';
import {integerOrAuto} from '../../src/mixers/fields';
import {fanIn} from '../../src/mixers/initializers';
import {lastMatrix, matrix} from '../../src/mixers/weightSpec';

interface Config {
  dModel: number;
  dHidden: number;
}

type Weights = Record<'gateUp/kernel' | 'down/kernel', Weight>;

export const swiglu: Mixer<Config, Record<string, never>, Weights> = {
  name: 'swiglu',
  /** dHidden: 'auto' is 8/3 · dModel, up to a multiple of 8: as many weights as a plain one of 4 · dModel. */
  fields: {dHidden: integerOrAuto},
  configure(_, given, dModel) {
    const {dHidden} = given as {dHidden: number | 'auto'};
    return {dModel, dHidden: dHidden === 'auto' ? 8 * Math.ceil(dModel / 3) : dHidden};
  },
  weights: ({dModel, dHidden}) => [
    matrix('gateUp/kernel', 'gate_up.weight', [dModel, 2 * dHidden], fanIn(dModel)),
    lastMatrix('down/kernel', 'down.weight', [dHidden, dModel], fanIn(dHidden)),
  ],
  states: {},
  lookBack: () => 0,
  run: (weights, _, x) => ({y: feed(weights, x), state: {}}),
  step: (weights, _, x) => ({y: feed(weights, x), state: {}}),
};

function feed<T extends tf.Tensor>(weights: Weights, x: T): T {
  const [gate, up] = tf.split(products.linear({x, weight: weights['gateUp/kernel']}), 2, -1);
  const h = gate.mul(gate.sigmoid()).mul(up);
  return products.linear({x: h, weight: weights['down/kernel']}) as T;
}
