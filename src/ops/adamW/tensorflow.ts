/** AdamW and the global norm as ops of the native library: one call a step, whatever the number of variables. */
import * as tf from '@tensorflow/tfjs';
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {AdamWAttrs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'AdamW',
    run: ({inputs, backend, attrs}) => {
      const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs as AdamWAttrs;
      const P = weightDecay.length;
      // Data and not attributes: TensorFlow keeps a kernel for every set of attribute values it has seen.
      const scalars = tf.tensor1d([
        ...[beta1, 1 - beta1, beta2, 1 - beta2, epsilon],
        ...[learningRate / (1 - beta1 ** step), 1 / Math.sqrt(1 - beta2 ** step)],
        ...weightDecay.map((decay) => 1 - learningRate * decay),
      ]);
      const outputs = runNativeOp(backend, 'TfjsMambaAdamW', [...inputs, scalars], {ints: {P}}, 3 * P);
      scalars.dispose();
      return outputs;
    },
  },
  {
    kernelName: 'GlobalNorm',
    run: ({inputs, backend}) => runNativeOp(backend, 'TfjsMambaGlobalNorm', inputs, {ints: {P: inputs.length}}, 1),
  },
);
