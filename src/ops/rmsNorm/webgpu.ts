/**
 * The norm on WebGPU: a workgroup per row, which holds up to WIDTH channels a step. The gradient of the weight is a sum over all
 * rows: each workgroup of the backward has a block of rows, one after the other, whose sums `sumRows` adds.
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

/**
 * `sums` of a row, the first of which is that of its squares; where squares leave float32, those of the row times `factor`. Each
 * invocation then adds up the whole row by itself, because it may not wait for others in a branch, and it is rare.
 */
const inRangeWgsl = (sums: string, type: string, element: string, terms: string) => {
  const squares = type === 'f32' ? sums : `${sums}.x`;
  return `
  var factor = 1.0;
  let meanSquare = ${squares} / f32(p.channels);
  if (!(${squares} < 3e38 && meanSquare + p.epsilon > 1e-30)) {
    factor = select(0x1p80, 0x1p-80, meanSquare > 1.0);
    ${sums} = ${type}();
    for (var d = 0u; d < p.channels; d++) {
      let value = factor * (${element});
      ${sums} += ${terms};
    }
  }
  let scale = inverseSqrt(${squares} / f32(p.channels) + p.epsilon * factor * factor);`;
};

/** Rows that a workgroup of the backward adds the weight's gradients of. */
const BLOCK = 16;

const element = (residual: boolean) => `x[row + d]${residual ? ' + residual[row + d]' : ''}`;

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
    let value = ${element(residual)};
    squares += value * value;
    ${residual ? 'r[row + d] = value;' : ''}
  }
  squares = workgroupSum(squares, lane);${inRangeWgsl('squares', 'f32', element(residual), 'value * value')}
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    y[row + d] = factor * ${residual ? 'r' : 'x'}[row + d] * scale * weight[d];
  }`,
  }),
});

const backward = defineProgram<{residual: boolean}>({
  name: 'RmsNormGrad',
  variants: combinations({residual: [false, true]}),
  build: ({residual}) => ({
    buffers: {r: read, weight: read, dy: read, dr: write, blocks: write, ...(residual && {dResidual: read})},
    uniforms: {channels: 'u32', rows: 'u32', epsilon: 'f32'},
    workgroupSize: WIDTH,
    declarations: workgroupSumOfPairsWgsl(WIDTH),
    main: `
  let first = group * ${BLOCK}u;
  for (var at = first; at < min(first + ${BLOCK}u, p.rows); at++) {
  let row = at * p.channels;
  var sums = vec2f(); // r², weight·dy·r
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    sums += r[row + d] * vec2f(r[row + d], weight[d] * dy[row + d]);
  }
  sums = workgroupSumOfPairs(sums, lane);${inRangeWgsl('sums', 'vec2f', 'r[row + d]', 'value * vec2f(value, weight[d] * dy[row + d])')}
  let pull = sums.y / f32(p.channels) * scale * scale;
  for (var d = lane; d < p.channels; d += ${WIDTH}u) {
    let scaled = factor * r[row + d];
    let g = weight[d] * dy[row + d];
    // Of a single channel only epsilon keeps the slope from zero; the difference would be all rounding.
    let through = select(g - scaled * pull, g * (p.epsilon * factor * factor) * scale * scale, p.channels == 1u);
    dr[row + d] = through * scale * factor${residual ? ' + dResidual[row + d]' : ''};
    let own = group * p.channels + d;
    blocks[own] = select(blocks[own], 0.0, at == first) + dy[row + d] * scaled * scale;
  }
  }`,
  }),
});

registerWebGPUKernel('RmsNorm', (gpu, inputs, {present, epsilon, passes}: RmsNormAttrs & PresentAttr) => {
  const {x, weight, residual} = byName<RmsNormInput, TensorInfo>(inputs, present);
  const channels = weight!.shape[0];
  const y = gpu.output(x!.shape);
  const r = residual && gpu.output(x!.shape);
  gpu.run(
    forward,
    {residual: residual !== undefined},
    {
      buffers: {x: x!, weight: weight!, y, residual, r},
      uniforms: {channels, epsilon},
      workgroups: sizeOf(x!.shape) / channels,
    },
  );
  if (r) return [y, r];
  return passes ? [y, gpu.again(x!)] : [y];
});

registerWebGPUKernel('RmsNormGrad', (gpu: Gpu, inputs, {present, epsilon}: RmsNormAttrs & PresentAttr) => {
  const named = byName<RmsNormGradInput, TensorInfo>(inputs, present);
  const [r, weight, dy] = [named.r!, named.weight!, named.dy!];
  const {dResidual} = named;
  const channels = weight.shape[0];
  const rows = sizeOf(r.shape) / channels;
  const dr = gpu.output(r.shape);
  const dWeight = gpu.output(weight.shape);
  const blockCount = Math.ceil(rows / BLOCK);
  const blocks = gpu.scratch(blockCount * channels);
  gpu.run(
    backward,
    {residual: dResidual !== undefined},
    {
      buffers: {r, weight, dy, dr, blocks, dResidual},
      uniforms: {channels, rows, epsilon},
      workgroups: blockCount,
    },
  );
  sumRows(gpu, blocks, blockCount, channels, dWeight);
  return [dr, dWeight];
});
