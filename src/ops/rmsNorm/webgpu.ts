/**
 * The norm on WebGPU: a workgroup per row, which holds up to WIDTH channels a step. The gradient of the weight is a sum over all
 * rows: each workgroup adds its block of rows, `sumRows` the blocks.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import {workgroupSumOfPairsWgsl, workgroupSumWgsl} from '../wgsl';
import type {RmsNormAttrs, RmsNormGradInput, RmsNormInput} from './kernels';

const WIDTH = 128;
/** Rows whose weight gradients one invocation adds. */
const BLOCK = 32;

const forward = defineProgram<{residual: boolean}>({
  name: 'RmsNorm',
  variants: combinations({residual: [false, true]}),
  build: ({residual}) => ({
    buffers: {x: read, weight: read, y: write, ...(residual && {residual: read, r: write})},
    uniforms: {channels: 'u32', epsilon: 'f32'},
    workgroupSize: WIDTH,
    declarations: workgroupSumWgsl(WIDTH),
    main: `
  let row = group * p.channels;
  var squares = 0.0;
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    let value = x[row + d]${residual ? ' + residual[row + d]' : ''};
    squares += value * value;
    ${residual ? 'r[row + d] = value;' : ''}
  }
  let scale = inverseSqrt(workgroupSum(squares, lane) / f32(p.channels) + p.epsilon);
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    y[row + d] = ${residual ? 'r' : 'x'}[row + d] * scale * weight[d];
  }`,
  }),
});

const backward = defineProgram<{residual: boolean}>({
  name: 'RmsNormGrad (rows)',
  variants: combinations({residual: [false, true]}),
  build: ({residual}) => ({
    buffers: {r: read, weight: read, dy: read, dr: write, scales: write, ...(residual && {dResidual: read})},
    uniforms: {channels: 'u32', epsilon: 'f32'},
    workgroupSize: WIDTH,
    declarations: workgroupSumOfPairsWgsl(WIDTH),
    main: `
  let row = group * p.channels;
  var sums = vec2f(); // r², weight·dy·r
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    sums += r[row + d] * vec2f(r[row + d], weight[d] * dy[row + d]);
  }
  let means = workgroupSumOfPairs(sums, lane) / f32(p.channels);
  let scale = inverseSqrt(means.x + p.epsilon);
  let pull = means.y * scale * scale;
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    let g = weight[d] * dy[row + d];
    // Of a single channel only epsilon keeps the slope from zero; the difference would be all rounding.
    let through = select(g - r[row + d] * pull, g * p.epsilon * scale * scale, p.channels == 1u) * scale;
    dr[row + d] = through${residual ? ' + dResidual[row + d]' : ''};
  }
  if (lane == 0u) { scales[group] = scale; }`,
  }),
});

const weightGradient = defineProgram({
  name: 'RmsNormGrad (weight)',
  variants: [{}],
  build: () => ({
    buffers: {r: read, dy: read, scales: read, blocks: write},
    uniforms: {channels: 'u32', rows: 'u32', size: 'u32'},
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let d = i % p.channels;
  let first = i / p.channels * ${BLOCK}u;
  let end = min(first + ${BLOCK}u, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    sum += dy[row * p.channels + d] * r[row * p.channels + d] * scales[row];
  }
  blocks[i] = sum;`,
  }),
});

registerWebGPUKernel('RmsNorm', (gpu, inputs, {present, epsilon}: RmsNormAttrs & PresentAttr) => {
  const {x, weight, residual} = byName<RmsNormInput, TensorInfo>(inputs, present);
  const channels = weight!.shape[0];
  const y = gpu.output(x!.shape);
  const r = residual && gpu.output(x!.shape);
  gpu.run(
    forward,
    {residual: residual !== undefined},
    {
      buffers: {x: x!, weight: weight!, y, ...(residual && {residual, r: r!})},
      uniforms: {channels, epsilon},
      workgroups: sizeOf(x!.shape) / channels,
    },
  );
  return r ? [y, r] : [y];
});

registerWebGPUKernel('RmsNormGrad', (gpu: Gpu, inputs, {present, epsilon}: RmsNormAttrs & PresentAttr) => {
  const named = byName<RmsNormGradInput, TensorInfo>(inputs, present);
  const [r, weight, dy] = [named.r!, named.weight!, named.dy!];
  const {dResidual} = named;
  const channels = weight.shape[0];
  const rows = sizeOf(r.shape) / channels;
  const dr = gpu.output(r.shape);
  const dWeight = gpu.output(weight.shape);
  const scales = gpu.scratch(rows);
  gpu.run(
    backward,
    {residual: dResidual !== undefined},
    {
      buffers: {r, weight, dy, dr, scales, ...(dResidual && {dResidual})},
      uniforms: {channels, epsilon},
      workgroups: rows,
    },
  );
  const blockCount = Math.ceil(rows / BLOCK);
  const size = blockCount * channels;
  const blocks = gpu.scratch(size);
  gpu.run(
    weightGradient,
    {},
    {
      buffers: {r, dy, scales, blocks},
      uniforms: {channels, rows, size},
      workgroups: Math.ceil(size / 64),
    },
  );
  sumRows(gpu, blocks, blockCount, channels, dWeight);
  return [dr, dWeight];
});
