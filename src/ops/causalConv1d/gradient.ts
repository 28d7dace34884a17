/** The gradient of the causal convolution, for every backend: one call of its fused gradient kernel. */
import {defineGradient} from '../kernel';
import type {ConvAttrs, ConvKernelInput} from './kernels';
import {runCausalConv1dGrad} from './kernels';

defineGradient<ConvKernelInput, ConvAttrs>(
  'CausalConv1d',
  [false, false],
  ([dy, dFinalState], inputs, _outputs, {activation}) =>
    runCausalConv1dGrad({...inputs, dy, dFinalState}, {activation}),
);
