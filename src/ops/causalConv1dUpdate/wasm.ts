/** One step of the causal convolution with SIMD, for `wasm`: the convolution at length 1. */
import {shared} from '../../backends/wasm/binaries/shared';
import type {HeapOperand} from '../../backends/wasm/simd';
import {registerSimdKernel} from '../../backends/wasm/simd';
import type {ConvAttrs} from '../causalConv1d/kernels';
import {convolve} from '../causalConv1d/wasm';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ConvUpdateInput} from './kernels';
import {convUpdateShape} from './shapes';

registerSimdKernel(shared, convUpdateShape, (simd, inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const {x, state, weight, bias} = byName<ConvUpdateInput, HeapOperand>(inputs, present);
  const [batch, channels] = x!.shape;
  convolve(simd, {x: x!, weight: weight!, bias, initialState: state}, outputs, [batch, 1, channels], activation);
});
