/** One step made of TensorFlow.js ops: the composed convolution at length 1. */
import type * as tf from '@tensorflow/tfjs';
import {causalConv1dComposed} from '../causalConv1d/composed';
import type {ConvAttrs} from '../causalConv1d/kernels';
import {offerComposed} from '../kernel';
import type {ConvUpdateInput} from './kernels';
import {runCausalConv1dUpdate} from './kernels';

export function causalConv1dUpdateComposed(
  {x, state, weight, bias}: Record<ConvUpdateInput, tf.Tensor>,
  attrs: ConvAttrs,
): tf.Tensor[] {
  const [y, next] = causalConv1dComposed({x: x.expandDims(1), weight, bias, initialState: state}, attrs);
  return [y.squeeze([1]), next];
}

offerComposed(runCausalConv1dUpdate, causalConv1dUpdateComposed);
