/** The gradient of a product by rows of bfloat16 with respect to x and the bias; what is packed has none. */
import type * as tf from '@tensorflow/tfjs';
import {defineGradient} from '../kernel';
import {linear} from '../linear';
import type {HalfLinearInput} from './kernels';
import {runUnpackHalves} from './kernels';

defineGradient<HalfLinearInput, object>('HalfLinear', [false], ([dy], {words, bias}) => {
  const dx = linear({x: dy, kernel: runUnpackHalves({words: words!}, {})[0]});
  const none = undefined as unknown as tf.Tensor; // never asked for
  return [dx, none, ...(bias ? [dy.sum(0)] : [])];
});
