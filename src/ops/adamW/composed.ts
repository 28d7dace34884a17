/** AdamW and the global norm made of TensorFlow.js ops, for a backend without kernels of its own. */
import * as tf from '@tensorflow/tfjs';
import {offerComposedList} from '../kernel';
import type {AdamWAttrs} from './kernels';
import {adamWKernel, globalNormKernel, packFlatKernel, unpackFlatKernel} from './kernels';

export function adamWComposed(inputs: tf.Tensor[], attrs: AdamWAttrs): tf.Tensor[] {
  const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs;
  const count = weightDecay.length;
  const gradScale = inputs[4 * count];
  const stepSize = learningRate / (1 - beta1 ** step);
  const secondCorrection = Math.sqrt(1 - beta2 ** step);
  const results = weightDecay.map((decay, i) =>
    tf.tidy(() => {
      const [param, grad, m, v] = [0, 1, 2, 3].map((list) => inputs[list * count + i]);
      const scaled = grad.mul(gradScale);
      const first = m.mul(beta1).add(scaled.mul(1 - beta1));
      const second = v.mul(beta2).add(scaled.square().mul(1 - beta2));
      const denominator = second.sqrt().div(secondCorrection).add(epsilon);
      return [param.mul(1 - learningRate * decay).sub(first.div(denominator).mul(stepSize)), first, second];
    }),
  );
  return [0, 1, 2].flatMap((list) => results.map((result) => result[list]));
}

export function globalNormComposed(tensors: tf.Tensor[]): tf.Tensor {
  return tf.addN(tensors.map((tensor) => tensor.square().sum())).sqrt();
}

offerComposedList(adamWKernel, adamWComposed);
offerComposedList(globalNormKernel, (tensors) => [globalNormComposed(tensors)]);
offerComposedList(packFlatKernel, (tensors) => [tf.concat(tensors.map((tensor) => tensor.flatten()))], true);
offerComposedList(
  unpackFlatKernel,
  ([flat], {shapes}) => {
    const parts = tf.split(flat, shapes.map(tf.util.sizeFromShape));
    return parts.map((part, i) => part.reshape(shapes[i]));
  },
  true,
);
