/**
 * Causal self-attention with rotary positions (Vaswani et al. 2017; Su et al. 2021, arXiv 2104.09864), as Llama has it: no bias. A baseline,
 * made of TensorFlow.js ops. Its state is the KV cache, which grows with every position.
 *
 *   B = batch   L = length   T = positions in the cache   H = heads   P = dModel / H, even
 */
import * as tf from '@tensorflow/tfjs';
import type {Mixer, RunContext, Weight} from '../../src';
import {weights as products} from '../../src';
import {positiveInteger, positiveNumber, wrongField} from '../../src/mixers/fields';
import {fanIn} from '../../src/mixers/initializers';
import {lastMatrix, matrix} from '../../src/mixers/weightSpec';

interface Config {
  dModel: number;
  heads: number;
  ropeBase: number;
}

type KvCache = {
  /** Rotated keys [B,T,dModel]. */
  keys: tf.Tensor3D;
  /** [B,T,dModel] */
  values: tf.Tensor3D;
  /** 1 where a position is real, 0 where it is padding [B,T]. */
  real: tf.Tensor2D;
};

type Weights = Record<'qkv/kernel' | 'out/kernel', Weight>;

/** Added to the score of what may not be seen; its exponential is 0. */
const NEVER = -1e9;

export const attention: Mixer<Config, KvCache, Weights> = {
  name: 'attention',
  fields: {heads: positiveInteger(4), ropeBase: positiveNumber(10000)},
  configure(owner, given, dModel) {
    const {heads, ropeBase} = given as Config;
    if (dModel % (2 * heads) !== 0) {
      throw wrongField(owner, 'heads', `such that dModel / heads is even, with dModel ${dModel}`, heads);
    }
    return {dModel, heads, ropeBase};
  },
  weights: ({dModel}) => [
    matrix('qkv/kernel', 'qkv.weight', [dModel, 3 * dModel], fanIn(dModel)),
    lastMatrix('out/kernel', 'out.weight', [dModel, dModel], fanIn(dModel)),
  ],
  states: {keys: ({dModel}) => [null, dModel], values: ({dModel}) => [null, dModel], real: () => [null]},
  lookBack: () => 0,
  run(weights, {heads, ropeBase}, x, state, context) {
    const past = state && state.real.shape[1] > 0 ? state : undefined;
    const [q, k, v] = tf.split<tf.Tensor3D>(products.linear({x, weight: weights['qkv/kernel']}), 3, -1);
    const isReal = realPositions(x, context);
    const position = isReal
      .cumsum(1)
      .sub(1)
      .add(past ? past.real.sum(1, true) : 0); // [B,L]
    const rotated = rotate(k, position, heads, ropeBase);
    const join = <T extends tf.Tensor>(before: T | undefined, now: T): T =>
      before ? tf.concat([before, now], 1) : now;
    const cache = {
      keys: join(past?.keys, rotated),
      values: join(past?.values, v),
      real: join(past?.real, isReal),
    };
    const scores = tf.matMul(
      perHead(rotate(q, position, heads, ropeBase), heads),
      perHead(cache.keys, heads),
      false,
      true,
    ); // [B,H,L,T+L]
    const scale = Math.sqrt(heads / x.shape[2]);
    const shares = tf.softmax(scores.mul(scale).add(hidden(cache.real, x.shape[1])));
    const mixed = tf.matMul(shares, perHead(cache.values, heads)).transpose([0, 2, 1, 3]).reshape<tf.Tensor3D>(x.shape);
    return {y: products.linear({x: mixed, weight: weights['out/kernel']}) as tf.Tensor3D, state: cache};
  },
  step(weights, config, x, state) {
    const {y, state: next} = attention.run(weights, config, x.expandDims(1), state);
    return {y: y.squeeze([1]), state: next};
  },
};

/** [B,L] */
function realPositions(x: tf.Tensor3D, context?: RunContext): tf.Tensor2D {
  const mask = context?.padding?.mask;
  return mask ? mask.squeeze([2]) : tf.ones([x.shape[0], x.shape[1]]);
}

/** [B,L,dModel] → [B,H,L,P] */
function perHead(x: tf.Tensor3D, heads: number): tf.Tensor4D {
  const [batch, length, width] = x.shape;
  return x.reshape([batch, length, heads, width / heads]).transpose([0, 2, 1, 3]);
}

/** Turns the pairs (x_i, x_{i+P/2}) of every head by position · base^(-2i/P). */
function rotate(x: tf.Tensor3D, position: tf.Tensor, heads: number, base: number): tf.Tensor3D {
  const [batch, length, width] = x.shape;
  const pairs = width / heads / 2;
  const rates = tf.tensor1d(Float32Array.from({length: pairs}, (_, i) => base ** (-i / pairs)));
  const angle = position.reshape([batch, length, 1, 1]).mul(rates); // [B,L,1,P/2]
  const [a, b] = tf.split(x.reshape([batch, length, heads, 2 * pairs]), 2, -1);
  const [cos, sin] = [angle.cos(), angle.sin()];
  return tf.concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1).reshape(x.shape);
}

/** What keeps the last `length` positions from seeing what comes after them, and padding: [B,1,length,T] or [B,1,1,T]. */
function hidden(real: tf.Tensor2D, length: number): tf.Tensor {
  const total = real.shape[1];
  const padding = tf.sub(1, real).mul(NEVER).expandDims(1).expandDims(1);
  if (length === 1) return padding;
  const places = tf.range(0, total).expandDims(0);
  const later = places.greater(tf.range(total - length, total).expandDims(1)); // [length,T]
  return padding.add(later.toFloat().mul(NEVER));
}
