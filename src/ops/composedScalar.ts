/** The scalar functions that several composed forms share, made of TensorFlow.js ops. */
import * as tf from '@tensorflow/tfjs';

/** softplus as torch has it. max(x,0) + log1p(exp(-|x|)) neither overflows nor loses small values. */
export function softplus(x: tf.Tensor): tf.Tensor {
  return tf.where(x.greater(20), x, x.relu().add(log1p(x.abs().neg().exp())));
}

/** The slope of softplus. */
export function softplusSlope(x: tf.Tensor): tf.Tensor {
  return tf.where(x.greater(20), tf.onesLike(x), x.sigmoid());
}

/** As clipByValue, but has no gradient. Chosen by comparisons: on wasm clipByValue makes a NaN one of the limits. */
export function keptWithin<T extends tf.Tensor>(step: T, least: number, most: number): T {
  const raised = tf.where(step.less(least), tf.fill(step.shape, least), step);
  return tf.where(raised.greater(most), tf.fill(step.shape, most), raised) as T;
}

/** log(1+x) for x in [0,1], by its series where x is small: `tf.log1p` loses all digits there on wasm. */
function log1p(x: tf.Tensor): tf.Tensor {
  const terms = [1, -1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6];
  const series = terms.reduceRight<tf.Tensor>((sum, term) => sum.mul(x).add(term), tf.zerosLike(x)).mul(x);
  return tf.where(x.less(0.1), series, x.add(1).log());
}
