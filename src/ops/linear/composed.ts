/**
 * A linear map made of TensorFlow.js ops, which is the right form for every backend that has a good matMul.
 *
 * On wasm, matMul with a transpose flag takes a slow path (3 to 45 times slower, measured), and TensorFlow.js's gradient of matMul
 * uses those flags: there the smaller operand is transposed first.
 */
import * as tf from '@tensorflow/tfjs';
import {transposedProductsAreSlow} from '../../backends/traits';
import {offerComposed} from '../kernel';
import type {LinearAttrs, LinearInputs} from './kernels';
import {runLinear, runLinearGrad} from './kernels';

/** a·b with either transposed, by the backend's faster way. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  if (!transposedProductsAreSlow()) {
    return tf.matMul(a, b, transposeA, transposeB);
  }
  return tf.matMul(transposeA ? a.transpose() : a, transposeB ? b.transpose() : b);
}

export function linearComposed({x, kernel, bias}: LinearInputs, {transposeKernel}: LinearAttrs): tf.Tensor[] {
  const [rows, width] = x.shape as [number, number];
  const out = kernel.shape[transposeKernel ? 0 : 1]!;
  // For few rows it is cheaper to transpose input and output, (K xᵀ)ᵀ, than a large kernel.
  const turned = transposeKernel && transposedProductsAreSlow() && rows * (width + out) < width * out;
  const y = turned ? tf.matMul(kernel, x.transpose()).transpose() : product(x, kernel, false, transposeKernel);
  return [bias ? y.add(bias) : y];
}

export function linearGradComposed(
  {x, kernel, bias, dy}: LinearInputs & Record<'dy', tf.Tensor>,
  {transposeKernel}: LinearAttrs,
): tf.Tensor[] {
  const dx = product(dy, kernel, false, !transposeKernel);
  const dKernel = transposeKernel ? product(dy, x, true, false) : product(x, dy, true, false);
  return bias ? [dx, dKernel, dy.sum(0)] : [dx, dKernel];
}

offerComposed(runLinear, linearComposed, true);
offerComposed(runLinearGrad, linearGradComposed, true);
