/**
 * The product by packed rows made of unpacking them and of the linear map: the right form for many rows of x, for which unpacking is little
 * beside the product. The unpacked weight lives no longer than the call.
 */
import type * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import {linear} from '../linear';
import {unpackRows} from '../unpackRows';
import type {PackedLinearInput} from './kernels';
import {runPackedLinear} from './kernels';

type Inputs = Record<Exclude<PackedLinearInput, 'bias'>, tf.Tensor> & {bias?: tf.Tensor};

export function packedLinearComposed({x, words, scales, bias}: Inputs): tf.Tensor[] {
  return [linear({x, kernel: unpackRows({words, scales}), bias, transposeKernel: true})];
}

offerComposed(runPackedLinear, packedLinearComposed, true);
