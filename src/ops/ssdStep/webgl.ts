/** One step of Mamba-2's scan on WebGL2: the new state, then the output that it gives. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {byName, registerArrayKernel} from '../kernel';
import type {SsdStepInput} from './kernels';

const statePass: Pass = {
  name: 'SSDStep (state)',
  inputs: ['state', 'u', 'delta', 'A', 'B'],
  optional: ['deltaBias'],
  outputs: 1,
  ints: ['heads', 'headDim', 'groups', 'dState'],
  floats: ['deltaMin', 'deltaMax'],
  main: `
  int channel = index / dState;
  int ofHead = channel / headDim;
  int head = ofHead % heads;
  float raw = get_delta(ofHead);
#if HAS_deltaBias
  raw += get_deltaBias(head);
#endif
  float dt = clamp(SOFTPLUS == 1 ? softplus(raw) : raw, deltaMin, deltaMax);
  float exponent = dt * get_A(head) * LOG2E;
  int row = ofHead / (heads / groups);
  out_0 = scaled(vec4(get_state(index)), vec4(exponent)).x + dt * get_u(channel) * get_B(row * dState + index % dState);`,
};

const outputPass: Pass = {
  name: 'SSDStep (output)',
  inputs: ['next', 'u', 'C'],
  optional: ['D', 'z'],
  outputs: 1,
  ints: ['heads', 'headDim', 'groups', 'dState', 'channelsOfD'],
  main: `
  int ofHead = index / headDim;
  float y = 0.;
#if HAS_D
  y = get_D(ofHead % heads * channelsOfD + index % headDim % channelsOfD) * get_u(index);
#endif
  int row = ofHead / (heads / groups) * dState;
  for (int n = 0; n < dState; n++) y += get_C(row + n) * get_next(index * dState + n);
#if HAS_z
  y *= silu(get_z(index));
#endif
  out_0 = y;`,
};

registerArrayKernel('SSDStep', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('ssdStep', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Record<SsdStepInput, tf.TensorInfo>;
    const {state, u, delta, A, B, C, z, deltaBias} = operands;
    const D = operands.D as tf.TensorInfo | undefined;
    const [batch, heads, headDim, dState] = state.shape;
    const ints = {heads, headDim, groups: B.shape[1], dState, channelsOfD: D?.shape[1] ?? 1};
    const {deltaMin, deltaMax, deltaSoftplus} = attrs as Record<string, unknown>;
    const next = kernel.output(state.shape);
    const y = kernel.output(u.shape);
    const channels = batch * heads * headDim;
    kernel.draw(statePass, {
      inputs: {state, u, delta, A, B, deltaBias},
      ints,
      floats: {deltaMin: deltaMin as number, deltaMax: deltaMax as number},
      flags: {SOFTPLUS: deltaSoftplus as boolean},
      count: channels * dState,
      outputs: [next],
    });
    kernel.draw(outputPass, {inputs: {next, u, C, D, z}, ints, count: channels, outputs: [y]});
    return [y, next];
  }),
);
