/** The product by packed rows on TensorFlow, by the native library for the few rows of decoding; more are unpacked for its matMul. */
import type {TensorInfo} from '@tensorflow/tfjs';
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import {byName, runComposed} from '../kernel';
import type {PackedLinearInput} from './kernels';

/** Up to this many rows the native product is the faster one (bench/NOTES.md). */
const FEW_ROWS = 4;

offerNativeKernels({
  kernelName: 'PackedLinear',
  run: (call) => {
    // There is no CUDA kernel.
    if (call.backend.isUsingGpuDevice || call.inputs[0].shape[0] > FEW_ROWS) return runComposed('PackedLinear', call);
    const {x, words, scales, bias} = byName<PackedLinearInput, TensorInfo>(call.inputs, call.present);
    const inputs = [x!, words!, scales!, ...(bias ? [bias] : [])];
    return runNativeOp(call.backend, 'TfjsMambaPackedMatVec', inputs, {ints: {NS: 1, NB: bias ? 1 : 0}}, 1);
  },
});
