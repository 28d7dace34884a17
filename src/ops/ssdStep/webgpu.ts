/**
 * One step of Mamba-2's scan on WebGPU: a pass over the state, sixteen invocations to a channel. It has eleven tensors, and a device that
 * TensorFlow.js makes binds eight, so a first program puts all that belongs to a channel into one.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {StepSizeAttrs} from '../ssd/stepSize';
import {sigmoidWgsl, softplusWgsl} from '../wgsl';
import type {SsdStepInput} from './kernels';

const LANES = 64;
/** Invocations that share a channel. */
const PER_CHANNEL = 16;

const either = [false, true];

/** Of each channel the decay, the input δu, what the skip connection adds to y, and the gate. */
const channelValues = defineProgram<{softplus: boolean; deltaBias: boolean; D: boolean; z: boolean}>({
  name: 'SSDStep (channels)',
  variants: combinations({softplus: either, deltaBias: either, D: either, z: either}),
  build: ({softplus, deltaBias, D, z}) => ({
    buffers: {
      ...{u: read, delta: read, A: read, values: writeQuads},
      ...(deltaBias && {deltaBias: read}),
      ...(D && {D: read}),
      ...(z && {z: read}),
    },
    uniforms: {
      heads: 'u32',
      headDim: 'u32',
      deltaMin: 'f32',
      deltaMax: 'f32',
      size: 'u32',
      ...(D && {channelsOfD: 'u32'}),
    },
    workgroupSize: LANES,
    declarations: (softplus ? softplusWgsl : '') + (z ? sigmoidWgsl : ''),
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  let head = i / p.headDim % p.heads;
  let raw = delta[i / p.headDim]${deltaBias ? ' + deltaBias[head]' : ''};
  let step = clamp(${softplus ? 'softplus(raw)' : 'raw'}, p.deltaMin, p.deltaMax);
  let skip = ${D ? 'D[head * p.channelsOfD + i % p.headDim % p.channelsOfD] * u[i]' : '0.0'};
  values[i] = vec4f(exp(step * A[head]), step * u[i], skip, ${z ? 'z[i] * sigmoid(z[i])' : '1.0'});`,
  }),
});

const update = defineProgram({
  name: 'SSDStep',
  variants: [{}],
  build: () => ({
    buffers: {values: readQuads, state: read, B: read, C: read, next: write, y: write},
    uniforms: {heads: 'u32', headDim: 'u32', groups: 'u32', dState: 'u32', size: 'u32'},
    workgroupSize: LANES,
    declarations: `var<workgroup> parts: array<f32, ${LANES}>;`,
    main: `
  let channel = group * ${LANES / PER_CHANNEL}u + lane / ${PER_CHANNEL}u;
  let own = channel < p.size;
  let value = values[min(channel, p.size - 1u)];
  var part = 0.0;
  if (own) {
    let row = channel / (p.heads / p.groups * p.headDim) * p.dState;
    for (var n = lane % ${PER_CHANNEL}u; n < p.dState; n += ${PER_CHANNEL}u) {
      let h = value.x * state[channel * p.dState + n] + value.y * B[row + n];
      next[channel * p.dState + n] = h;
      part += C[row + n] * h;
    }
  }
  parts[lane] = part;
  workgroupBarrier();
  if (own && lane % ${PER_CHANNEL}u == 0u) {
    var sum = 0.0;
    for (var i = lane; i < lane + ${PER_CHANNEL}u; i++) { sum += parts[i]; }
    y[channel] = (sum + value.z) * value.w;
  }`,
  }),
});

registerWebGPUKernel('SSDStep', (gpu, inputs, {present, ...attrs}: StepSizeAttrs & PresentAttr) => {
  const tensors = byName(inputs, present) as Record<SsdStepInput, TensorInfo>;
  const {state, u, delta, A, B, C, D, z, deltaBias} = tensors;
  const {deltaSoftplus: softplus, deltaMin, deltaMax} = attrs;
  const [, heads, headDim, dState] = state.shape;
  const size = sizeOf(u.shape);
  const values = gpu.scratch(4 * size);
  gpu.run(
    channelValues,
    {softplus, deltaBias: deltaBias !== undefined, D: D !== undefined, z: z !== undefined},
    {
      buffers: {u, delta, A, values, ...(deltaBias && {deltaBias}), ...(D && {D}), ...(z && {z})},
      uniforms: {heads, headDim, deltaMin, deltaMax, size, ...(D && {channelsOfD: D.shape[1]})},
      workgroups: Math.ceil(size / LANES),
    },
  );
  const y = gpu.output(u.shape);
  const next = gpu.output(state.shape);
  gpu.run(
    update,
    {},
    {
      buffers: {values, state, B, C, next, y},
      uniforms: {heads, headDim, groups: B.shape[1], dState, size},
      workgroups: Math.ceil((size * PER_CHANNEL) / LANES),
    },
  );
  return [y, next];
});
