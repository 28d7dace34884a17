/** One step of the causal convolution: the native op of the convolution takes x [B,D] as a sequence of length 1. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {ConvAttrs} from '../causalConv1d/kernels';
import {hasTooManyTaps} from '../causalConv1d/tensorflow';
import {runComposed} from '../kernel';

offerNativeKernels({
  kernelName: 'CausalConv1dUpdate',
  run: (call) => {
    if (hasTooManyTaps(call)) return runComposed('CausalConv1dUpdate', call);
    const {activation} = call.attrs as ConvAttrs;
    const order = ['x', 'weight', 'bias', 'state'];
    return runListOp(call, 'TfjsMambaCausalConv1d', order, {bools: {silu: activation === 'silu'}}, 2);
  },
});
