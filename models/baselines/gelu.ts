/** GELU by its sigmoid (Hendrycks & Gimpel 2016, section 2): TensorFlow.js 4.22 has none with a gradient on every backend. */
import type * as tf from '@tensorflow/tfjs';

export function gelu<T extends tf.Tensor>(x: T): T {
  return x.mul(x.mul(1.702).sigmoid());
}
