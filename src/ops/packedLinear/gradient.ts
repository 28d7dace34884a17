/** The gradient of a product by packed rows with respect to x and the bias, for every backend; what is packed has none. */
import type * as tf from '@tensorflow/tfjs';
import {defineGradient} from '../kernel';
import {linear} from '../linear';
import {unpackRows} from '../unpackRows';
import type {PackedLinearAttrs, PackedLinearInput} from './kernels';

defineGradient<PackedLinearInput, PackedLinearAttrs>('PackedLinear', [false], ([dy], {words, scales, bias}) => {
  const dx = linear({x: dy, kernel: unpackRows({words: words!, scales: scales!})});
  const none = undefined as unknown as tf.Tensor; // never asked for
  return [dx, none, none, ...(bias ? [dy.sum(0)] : [])];
});
