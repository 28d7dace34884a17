/** The causal convolution as an op of the native library. */
import type {NativeCall} from '../../backends/tensorflow';
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import {runComposed} from '../kernel';
import type {ConvAttrs} from './kernels';
import {convInputs} from './kernels';

/** The CUDA kernels keep a window in registers; with more taps than these the composed form runs. The CPU's take any number. */
const MOST_TAPS_ON_GPU = 8;

/** Whether a call has more taps than the native kernel takes. */
export function hasTooManyTaps({backend, inputs, present}: NativeCall): boolean {
  return backend.isUsingGpuDevice && inputs[present.indexOf('weight')].shape[1] > MOST_TAPS_ON_GPU;
}

offerNativeKernels(
  {
    kernelName: 'CausalConv1d',
    run: (call) => {
      if (hasTooManyTaps(call)) return runComposed('CausalConv1d', call);
      const {activation} = call.attrs as ConvAttrs;
      return runListOp(call, 'TfjsMambaCausalConv1d', convInputs, {bools: {silu: activation === 'silu'}}, 2);
    },
  },
  {
    kernelName: 'CausalConv1dGrad',
    run: (call) => {
      if (hasTooManyTaps(call)) return runComposed('CausalConv1dGrad', call);
      const {activation} = call.attrs as ConvAttrs;
      const gradients = convInputs.filter((name) => call.present.includes(name)).length;
      const attrs = {ints: {NG: gradients}, bools: {silu: activation === 'silu'}};
      return runListOp(call, 'TfjsMambaCausalConv1dGrad', [...convInputs, 'dy', 'dFinalState'], attrs, gradients);
    },
  },
);
