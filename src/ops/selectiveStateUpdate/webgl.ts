/** One step of the selective scan on WebGL2: the new state, then the output that it gives. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {byName, registerArrayKernel} from '../kernel';
import type {StateUpdateInput} from './kernels';

const statePass: Pass = {
  name: 'SelectiveStateUpdate (state)',
  inputs: ['state', 'u', 'delta', 'A', 'B'],
  optional: ['deltaBias'],
  outputs: 1,
  ints: ['channels', 'dState', 'groupsB'],
  main: `
  int n = index % dState;
  int at = index / dState;
  int d = at % channels;
  float x = get_delta(at);
#if HAS_deltaBias
  x += get_deltaBias(d);
#endif
  float dt = SOFTPLUS == 1 ? softplus(x) : x;
  float exponent = dt * get_A(d * dState + n) * LOG2E;
  int row = (at / channels) * groupsB + d / (channels / groupsB);
  out_0 = scaled(vec4(get_state(index)), vec4(exponent)).x + dt * get_u(at) * get_B(row * dState + n);`,
};

const outputPass: Pass = {
  name: 'SelectiveStateUpdate (output)',
  inputs: ['next', 'u', 'C'],
  optional: ['D', 'z'],
  outputs: 1,
  ints: ['channels', 'dState', 'groupsC'],
  main: `
  int d = index % channels;
  float y = 0.;
#if HAS_D
  y = get_D(d) * get_u(index);
#endif
  int row = (index / channels) * groupsC + d / (channels / groupsC);
  for (int n = 0; n < dState; n++) y += get_C(row * dState + n) * get_next(index * dState + n);
#if HAS_z
  y *= silu(get_z(index));
#endif
  out_0 = y;`,
};

registerArrayKernel('SelectiveStateUpdate', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('selectiveStateUpdate', backend, (kernel) => {
    const operands = byName<StateUpdateInput, tf.TensorInfo>(inputs, attrs.present);
    const {state, u, delta, A, B, C, D, z, deltaBias} = operands as Record<StateUpdateInput, tf.TensorInfo>;
    const [batch, channels, dState] = state.shape;
    const ints = {channels, dState, groupsB: B.shape[1], groupsC: C.shape[1]};
    const next = kernel.output(state.shape);
    const y = kernel.output(u.shape);
    kernel.draw(statePass, {
      inputs: {state, u, delta, A, B, deltaBias},
      ints,
      flags: {SOFTPLUS: attrs.deltaSoftplus as boolean},
      count: batch * channels * dState,
      outputs: [next],
    });
    kernel.draw(outputPass, {inputs: {next, u, C, D, z}, ints, count: batch * channels, outputs: [y]});
    return [y, next];
  }),
);
