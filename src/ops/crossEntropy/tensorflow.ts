/** The cross entropy as an op of the native library. */
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {CrossEntropyAttrs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'CrossEntropy',
    run: ({inputs, backend, attrs}) => {
      const {ignoreIndex} = attrs as CrossEntropyAttrs;
      return runNativeOp(backend, 'TfjsMambaCrossEntropy', inputs, {ints: {ignore_index: ignoreIndex}}, 2);
    },
  },
  {
    kernelName: 'CrossEntropyGrad',
    run: ({inputs, backend, attrs}) => {
      const {ignoreIndex} = attrs as CrossEntropyAttrs;
      return runNativeOp(backend, 'TfjsMambaCrossEntropyGrad', inputs, {ints: {ignore_index: ignoreIndex}}, 1);
    },
  },
);
