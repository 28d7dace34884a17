/** One step of the causal convolution over typed arrays, for `cpu` and `wasm`. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {ConvAttrs} from '../causalConv1d/kernels';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid} from '../scalar';
import type {ConvUpdateInput} from './kernels';
import {convUpdateShape} from './shapes';

type Operands = Record<'x' | 'state' | 'weight', Operand> & {[K in ConvUpdateInput]?: Operand};

function update({x, state, weight, bias}: Operands, [y, next]: Operand[], activation: ConvAttrs['activation']): void {
  const [batch, channels] = x.shape;
  const width = weight.shape[1];
  for (let b = 0; b < batch; b++) {
    const past = b * (width - 1) * channels;
    for (let d = 0; d < channels; d++) {
      const current = x.values[b * channels + d];
      let sum = (bias ? bias.values[d] : 0) + weight.values[d * width + width - 1] * current;
      for (let k = 0; k < width - 1; k++) {
        sum += weight.values[d * width + k] * state.values[past + k * channels + d];
      }
      y.values[b * channels + d] = activation === 'silu' ? sum * sigmoid(sum) : sum;
    }
    // The window moves on by one: the oldest input leaves, the current one enters.
    if (width > 1) {
      next.values.set(state.values.subarray(past + channels, past + (width - 1) * channels), past);
      next.values.set(x.values.subarray(b * channels, (b + 1) * channels), past + (width - 2) * channels);
    }
  }
}

registerTypedArrayKernel({
  ...convUpdateShape,
  compute: (inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) =>
    update(byName(inputs, present) as Operands, outputs, activation),
});
