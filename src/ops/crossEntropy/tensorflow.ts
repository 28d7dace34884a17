/** The cross entropy as an op of the native library. */
import type {NativeKernel} from '../../backends/tensorflow';
import {runNativeOp} from '../../backends/tensorflow';
import type {CrossEntropyAttrs} from './kernels';

export const crossEntropyNative: NativeKernel[] = [
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
];
