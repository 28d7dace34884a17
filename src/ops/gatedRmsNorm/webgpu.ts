/**
 * The gated norm on WebGPU: a workgroup per group of a row. The gradient of the weight is a sum over all rows: each workgroup adds a
 * block of rows, `sumRows` the blocks.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import {sigmoidWgsl, workgroupSumOfPairsWgsl, workgroupSumWgsl} from '../wgsl';
import type {GatedRmsNormAttrs, GatedRmsNormGradInput, GatedRmsNormInput} from './kernels';

const LANES = 128;
/** Rows whose weight gradients one invocation adds. */
const BLOCK = 32;

/** Where the gate is: after the norm, before it, or nowhere. */
type Gate = {gate: 'after' | 'before' | 'none'};
const gates = combinations<Gate>({gate: ['after', 'before', 'none']});
const gateOf = (z: TensorInfo | undefined, normBeforeGate: boolean): Gate['gate'] =>
  z ? (normBeforeGate ? 'after' : 'before') : 'none';

/** What is normed at i, and by what the gradient of y is multiplied before it meets the norm. */
const normed = ({gate}: Gate) => (gate === 'before' ? 'x[i] * silu(z[i])' : 'x[i]');
const gradient = ({gate}: Gate) => (gate === 'after' ? 'dy[i] * silu(z[i])' : 'dy[i]');
const declarations = ({gate}: Gate) =>
  gate === 'none' ? '' : `${sigmoidWgsl}fn silu(x: f32) -> f32 { return x * sigmoid(x); }`;

/** Code for each channel of the workgroup's group: its place `i`, and `d` among all channels. */
const forChannels = (code: string) => `
  for (var k = lane; k < p.width; k += ${LANES}u) {
    let i = group * p.width + k;
    let d = group % p.groups * p.width + k;
    ${code}
  }`;

const forward = defineProgram<Gate>({
  name: 'GatedRmsNorm',
  variants: gates,
  build: (variant) => ({
    buffers: {x: read, weight: read, y: write, ...(variant.gate !== 'none' && {z: read})},
    uniforms: {width: 'u32', groups: 'u32', epsilon: 'f32'},
    workgroupSize: LANES,
    declarations: declarations(variant) + workgroupSumWgsl(LANES),
    main: `
  var squares = 0.0;
  ${forChannels(`let r = ${normed(variant)};
    squares += r * r;`)}
  let scale = inverseSqrt(workgroupSum(squares, lane) / f32(p.width) + p.epsilon);
  ${forChannels(`y[i] = ${normed(variant)} * scale * weight[d]${variant.gate === 'after' ? ' * silu(z[i])' : ''};`)}`,
  }),
});

const backward = defineProgram<Gate>({
  name: 'GatedRmsNormGrad (rows)',
  variants: gates,
  build: (variant) => ({
    buffers: {
      ...{x: read, weight: read, dy: read, dx: write, scales: write},
      ...(variant.gate !== 'none' && {z: read, dz: write}),
    },
    uniforms: {width: 'u32', groups: 'u32', epsilon: 'f32'},
    workgroupSize: LANES,
    declarations: declarations(variant) + workgroupSumOfPairsWgsl(LANES),
    main: `
  var sums = vec2f(); // r², weight·g·r
  ${forChannels(`let r = ${normed(variant)};
    sums += r * vec2f(r, weight[d] * (${gradient(variant)}));`)}
  let means = workgroupSumOfPairs(sums, lane) / f32(p.width);
  let scale = inverseSqrt(means.x + p.epsilon);
  let pull = means.y * scale * scale;
  ${forChannels(`let r = ${normed(variant)};
    let g = weight[d] * (${gradient(variant)});
    // Of a single channel only epsilon keeps the slope from zero; the difference would be all rounding.
    let dr = select(g - r * pull, g * p.epsilon * scale * scale, p.width == 1u) * scale;
    ${store[variant.gate]}`)}
  if (lane == 0u) { scales[group] = scale; }`,
  }),
});

const store: Record<Gate['gate'], string> = {
  none: 'dx[i] = dr;',
  before: `dx[i] = dr * silu(z[i]);
    dz[i] = dr * x[i] * siluSlope(z[i]);`,
  after: `dx[i] = dr;
    dz[i] = dy[i] * r * scale * weight[d] * siluSlope(z[i]);`,
};

const weightGradient = defineProgram<Gate>({
  name: 'GatedRmsNormGrad (weight)',
  variants: gates,
  build: (variant) => ({
    buffers: {x: read, dy: read, scales: read, blocks: write, ...(variant.gate !== 'none' && {z: read})},
    uniforms: {width: 'u32', groups: 'u32', rows: 'u32', size: 'u32'},
    workgroupSize: 64,
    declarations: declarations(variant),
    main: `
  let place = group * 64u + lane;
  if (place >= p.size) { return; }
  let channels = p.width * p.groups;
  let d = place % channels;
  let first = place / channels * ${BLOCK}u;
  let end = min(first + ${BLOCK}u, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    let i = row * channels + d;
    sum += ${gradient(variant)} * (${normed(variant)}) * scales[row * p.groups + d / p.width];
  }
  blocks[place] = sum;`,
  }),
});

type Attrs = GatedRmsNormAttrs & PresentAttr;

registerWebGPUKernel('GatedRmsNorm', (gpu, inputs, {present, groups, normBeforeGate, epsilon}: Attrs) => {
  const {x, weight, z} = byName(inputs, present) as Record<GatedRmsNormInput, TensorInfo>;
  const width = weight.shape[0] / groups;
  const y = gpu.output(x.shape);
  gpu.run(
    forward,
    {gate: gateOf(z, normBeforeGate)},
    {
      buffers: {x, weight, y, ...(z && {z})},
      uniforms: {width, groups, epsilon},
      workgroups: sizeOf(x.shape) / width,
    },
  );
  return [y];
});

registerWebGPUKernel('GatedRmsNormGrad', (gpu, inputs, {present, groups, normBeforeGate, epsilon}: Attrs) => {
  const {x, weight, z, dy} = byName(inputs, present) as Record<GatedRmsNormGradInput, TensorInfo>;
  const channels = weight.shape[0];
  const width = channels / groups;
  const rows = sizeOf(x.shape) / channels;
  const gate = gateOf(z, normBeforeGate);
  const dx = gpu.output(x.shape);
  const dWeight = gpu.output(weight.shape);
  const dz = z && gpu.output(x.shape);
  const scales = gpu.scratch(rows * groups);
  gpu.run(
    backward,
    {gate},
    {
      buffers: {x, weight, dy, dx, scales, ...(dz && {z, dz})},
      uniforms: {width, groups, epsilon},
      workgroups: rows * groups,
    },
  );
  const blockCount = Math.ceil(rows / BLOCK);
  const size = blockCount * channels;
  const blocks = gpu.scratch(size);
  gpu.run(
    weightGradient,
    {gate},
    {
      buffers: {x, dy, scales, blocks, ...(z && {z})},
      uniforms: {width, groups, rows, size},
      workgroups: Math.ceil(size / 64),
    },
  );
  sumRows(gpu, blocks, blockCount, channels, dWeight);
  return dz ? [dx, dWeight, dz] : [dx, dWeight];
});
