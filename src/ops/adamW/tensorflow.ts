/**
 * AdamW and the global norm as ops of the native library: one call a step, whatever the number of variables. Moments that are the optimizer's
 * alone stay where they are, so that those of a large model are never there twice.
 */
import * as tf from '@tensorflow/tfjs';
import {isWritable, markWritable, sameNumbers} from '../../backends/exclusive';
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {AdamWAttrs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'AdamW',
    run: ({inputs, backend, attrs}) => {
      const {learningRate, beta1, beta2, epsilon, step, weightDecay, reuseMoments} = attrs as AdamWAttrs;
      const P = weightDecay.length;
      // Data and not attributes: TensorFlow keeps a kernel for every set of attribute values it has seen.
      const scalars = tf.tensor1d([
        ...[beta1, 1 - beta1, beta2, 1 - beta2, epsilon],
        ...[learningRate / (1 - beta1 ** step), 1 / Math.sqrt(1 - beta2 ** step)],
        ...weightDecay.map((decay) => 1 - learningRate * decay),
      ]);
      const moments = inputs.slice(2 * P, 4 * P);
      const inPlace = reuseMoments === true && moments.every(isWritable);
      const M = inPlace ? 0 : P;
      const outputs = runNativeOp(backend, 'TfjsMambaAdamW', [...inputs, scalars], {ints: {P, M}}, P + 2 * M);
      scalars.dispose();
      outputs.slice(P).forEach(markWritable);
      return inPlace ? [...outputs, ...moments.map(sameNumbers)] : outputs;
    },
  },
  {
    kernelName: 'GlobalNorm',
    run: ({inputs, backend}) => runNativeOp(backend, 'TfjsMambaGlobalNorm', inputs, {ints: {P: inputs.length}}, 1),
  },
);
