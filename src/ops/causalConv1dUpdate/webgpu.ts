/** One step of the causal convolution on WebGPU: the convolution at length 1. */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel} from '../../backends/webgpu';
import type {ConvAttrs} from '../causalConv1d/kernels';
import {convolve} from '../causalConv1d/webgpu';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ConvUpdateInput} from './kernels';

registerWebGPUKernel('CausalConv1dUpdate', (gpu, inputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const {x, state, weight, bias} = byName<ConvUpdateInput, TensorInfo>(inputs, present);
  const [batch, channels] = x!.shape;
  return convolve(gpu, {x: x!, weight: weight!, bias, initialState: state}, [batch, 1, channels], activation);
});
