/**
 * A linear map on TensorFlow: its own matMul, which is as fast as the machine, but for the few rows of decoding. There the time is
 * that of reading the weights, and the native library's product reads them faster. Its gradient is composed.
 */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import {runComposed} from '../kernel';
import type {LinearAttrs} from './kernels';

/** Up to this many rows the native product is the faster one (measured, bench/NOTES.md). */
const FEW_ROWS = 4;

const order = ['x', 'kernel', 'bias'] as const;

offerNativeKernels({
  kernelName: 'Linear',
  run: (call) => {
    if (call.inputs[0].shape[0] > FEW_ROWS) return runComposed('Linear', call);
    const {transposeKernel} = call.attrs as LinearAttrs;
    return runListOp(call, 'TfjsMambaMatVec', order, {bools: {transpose_kernel: transposeKernel}}, 1);
  },
});
