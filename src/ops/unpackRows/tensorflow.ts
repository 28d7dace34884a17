/** Unpacking by the native library; without it, composed. */
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import {runComposed} from '../kernel';

offerNativeKernels({
  kernelName: 'UnpackRows',
  run: (call) => {
    // There is no CUDA kernel.
    if (call.backend.isUsingGpuDevice) return runComposed('UnpackRows', call);
    return runNativeOp(call.backend, 'TfjsMambaUnpackRows', call.inputs, {ints: {NS: 1}}, 1);
  },
});
