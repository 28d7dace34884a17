/** One step of the causal convolution on WebGL2. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {byName, registerArrayKernel} from '../kernel';
import type {ConvUpdateInput} from './kernels';

const sizes = ['channels', 'width'] as const;

const outputPass: Pass = {
  name: 'CausalConv1dUpdate',
  inputs: ['x', 'weight'],
  optional: ['state', 'bias'],
  outputs: 1,
  ints: sizes,
  main: `
  int d = index % channels;
  int b = index / channels;
  float sum = get_weight(d * width + width - 1) * get_x(index);
#if HAS_bias
  sum += get_bias(d);
#endif
#if HAS_state
  for (int k = 0; k < width - 1; k++) sum += get_weight(d * width + k) * get_state((b * (width - 1) + k) * channels + d);
#endif
  out_0 = SILU == 1 ? silu(sum) : sum;`,
};

/** The window moves on by one: the oldest input leaves, the current one enters. */
const statePass: Pass = {
  name: 'CausalConv1dUpdate (state)',
  inputs: ['x', 'state'],
  outputs: 1,
  ints: sizes,
  main: `
  int d = index % channels;
  int k = (index / channels) % (width - 1);
  int b = index / channels / (width - 1);
  out_0 = k == width - 2 ? get_x(b * channels + d) : get_state(index + channels);`,
};

registerArrayKernel('CausalConv1dUpdate', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('causalConv1dUpdate', backend, (kernel) => {
    const operands = byName<ConvUpdateInput, tf.TensorInfo>(inputs, attrs.present);
    const {x, state, weight, bias} = operands as Record<ConvUpdateInput, tf.TensorInfo>;
    const [batch, channels] = x.shape;
    const width = weight.shape[1];
    const ints = {channels, width};
    const y = kernel.output(x.shape);
    const next = kernel.output(state.shape);
    const past = width > 1 ? state : undefined; // a width of 1 has a state without elements
    const flags = {SILU: attrs.activation === 'silu'};
    kernel.draw(outputPass, {
      inputs: {x, state: past, weight, bias},
      ints,
      flags,
      count: batch * channels,
      outputs: [y],
    });
    kernel.draw(statePass, {inputs: {x, state: past}, ints, count: batch * (width - 1) * channels, outputs: [next]});
    return [y, next];
  }),
);
