/** The gradient of one step, for every backend: that of the convolution at length 1. */
import {defineGradient} from '../kernel';
import type {ConvAttrs} from '../causalConv1d/kernels';
import {runCausalConv1dGrad} from '../causalConv1d/kernels';
import type {ConvUpdateInput} from './kernels';

defineGradient<ConvUpdateInput, ConvAttrs>(
  'CausalConv1dUpdate',
  [false, false],
  ([dy, dState], {x, state, weight, bias}, _outputs, {activation}) => {
    const gradients = runCausalConv1dGrad(
      {x: x!.expandDims(1), weight, bias, initialState: state, dy: dy.expandDims(1), dFinalState: dState},
      {activation},
    );
    const [dx, dWeight] = gradients;
    const dInitialState = gradients[gradients.length - 1];
    return [dx.squeeze([1]), dInitialState, dWeight, ...(bias ? [gradients[2]] : [])];
  },
);
