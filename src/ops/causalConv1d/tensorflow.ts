/** The causal convolution as an op of the native library. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {ConvAttrs} from './kernels';
import {convInputs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'CausalConv1d',
    run: (call) => {
      const {activation} = call.attrs as ConvAttrs;
      return runListOp(call, 'TfjsMambaCausalConv1d', convInputs, {bools: {silu: activation === 'silu'}}, 2);
    },
  },
  {
    kernelName: 'CausalConv1dGrad',
    run: (call) => {
      const {activation} = call.attrs as ConvAttrs;
      const gradients = call.inputs.length - 2;
      const attrs = {ints: {NG: gradients}, bools: {silu: activation === 'silu'}};
      return runListOp(call, 'TfjsMambaCausalConv1dGrad', [...convInputs, 'dy', 'dFinalState'], attrs, gradients);
    },
  },
);
