/**
 * One token through a stack of blocks on WebGPU, four dispatches a block: norm and in_proj; convolution, silu and x_proj; dt_proj, state update and
 * gate; out_proj and residual. What is between them is [B,2E] and [B,E+R+2N], so the weights are all that moves.
 *
 * Up to ROWS rows of the batch go through a workgroup together, so that weights are read once for them.
 *
 * A workgroup would have to wait for all others between norm and in_proj, or between the convolution and x_proj; it computes the norm
 * and the convolution itself instead, which is little beside its part of the product.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel} from '../../backends/webgpu';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {forRows, rowsTogether, sigmoidWgsl, softplusWgsl, workgroupSumOfQuadsWgsl} from '../wgsl';
import type {BlockInputs, StepAttrs} from './kernels';
import {blocksOf} from './kernels';

const LANES = 256;
/** Columns of a product that a workgroup has; the lanes of a column share its sum. Few, so that no lane has many terms to wait for. */
const COLUMNS = 8;
/** Columns of x_proj that a workgroup has: fewer, as there are few. */
const NARROW = 4;
/** Channels whose states a workgroup has, and lanes that share a channel. */
const CHANNELS = 16;
const SHARES = 4;

/** Rows of the batch that a workgroup takes at a time. */
const ROWS = 4;

const either = [false, true];
const someRows = [1, 2, ROWS];

/** The number of the workgroup's row r; of one that is not there, that of the last. */
const rowOf = (r: number) => (r === 0 ? 'firstRow' : `min(firstRow + ${r}u, p.batch - 1u)`);

/** `column`, and in each lane a part of the sums of the rows `b0`, `b1` and so on. */
const columnPlace = (rows: number, type: string) => `
  let firstRow = group / p.tiles * ${rows}u;
  let column = group % p.tiles * ${COLUMNS}u + lane % ${COLUMNS}u;
  ${forRows(rows, (r) => `let b${r} = ${rowOf(r)}; var sum${r} = ${type}();`)}`;

/** The first COLUMNS lanes then have the sums of the columns of the first row in `total`, the next those of the second, `b` being the row. */
const columnSum = (rows: number, type: string) => `
  ${forRows(rows, (r) => `parts[${LANES * r}u + lane] = sum${r};`)}
  workgroupBarrier();
  let b = firstRow + lane / ${COLUMNS}u;
  if (lane >= ${COLUMNS * rows}u || b >= p.batch || column >= p.n) { return; }
  let ownParts = lane / ${COLUMNS}u * ${LANES}u;
  var total = ${type}();
  for (var i = lane % ${COLUMNS}u; i < ${LANES}u; i += ${COLUMNS}u) { total += parts[ownParts + i]; }`;

/** The lanes of a column have all of x between them, so its squares are summed along with the products. */
const normAndInProj = defineProgram<{bias: boolean; rows: number}>({
  name: 'MambaStep (norm, in_proj)',
  variants: combinations({bias: either, rows: someRows}),
  build: ({bias, rows}) => ({
    buffers: {x: read, normWeight: read, kernel: read, ...(bias && {bias: read}), y: write},
    uniforms: {batch: 'u32', k: 'u32', n: 'u32', tiles: 'u32', epsilon: 'f32'},
    workgroupSize: LANES,
    declarations: `var<workgroup> parts: array<vec2f, ${LANES * rows}>;`,
    main: `${columnPlace(rows, 'vec2f')} // products, squares
  if (column < p.n) {
    for (var i = lane / ${COLUMNS}u; i < p.k; i += ${LANES / COLUMNS}u) {
      let weight = normWeight[i] * kernel[i * p.n + column];
      ${forRows(rows, (r) => `let value${r} = x[b${r} * p.k + i]; sum${r} += value${r} * vec2f(weight, value${r});`)}
    }
  }${columnSum(rows, 'vec2f')}
  var factor = 1.0;
  if (!(total.y < 3e38 && total.y / f32(p.k) + p.epsilon > 1e-30)) {
    // Where squares leave float32: all of it again, scaled, as in rmsNorm.
    factor = select(0x1p80, 0x1p-80, total.y > 1.0);
    total = vec2f();
    for (var i = 0u; i < p.k; i++) {
      let value = factor * x[b * p.k + i];
      total += value * vec2f(normWeight[i] * kernel[i * p.n + column], value);
    }
  }
  let scale = inverseSqrt(total.y / f32(p.k) + p.epsilon * factor * factor);
  y[b * p.n + column] = total.x * scale${bias ? ' + bias[column]' : ''};`,
  }),
});

/** `mixed` [B, E + R + 2N]: the convolved input, and then what x_proj makes of it. */
const convAndXProj = defineProgram<{bias: boolean; past: boolean; rows: number}>({
  name: 'MambaStep (conv, x_proj)',
  variants: combinations({bias: either, past: either, rows: someRows}),
  build: ({bias, past, rows}) => ({
    buffers: {
      xz: read,
      ...(past && {conv: read, nextConv: write}),
      weight: read,
      ...(bias && {bias: read}),
      kernel: read,
      mixed: write,
    },
    uniforms: {batch: 'u32', channels: 'u32', width: 'u32', n: 'u32', tiles: 'u32'},
    workgroupSize: LANES,
    declarations: `${sigmoidWgsl}${workgroupSumOfQuadsWgsl(LANES)}
/** The convolved input of row b, channel d. */
fn convolve(b: u32, d: u32, own: bool) -> f32 {
  let current = xz[b * 2u * p.channels + d];
  var total = ${bias ? 'bias[d]' : '0.0'} + weight[d * p.width + p.width - 1u] * current;
  ${
    past
      ? `let before = b * (p.width - 1u) * p.channels;
  for (var k = 0u; k + 1u < p.width; k++) { total += weight[d * p.width + k] * conv[before + k * p.channels + d]; }
  if (own) {
    for (var k = 0u; k + 2u < p.width; k++) { nextConv[before + k * p.channels + d] = conv[before + (k + 1u) * p.channels + d]; }
    nextConv[before + (p.width - 2u) * p.channels + d] = current;
  }`
      : ''
  }
  let u = total * sigmoid(total);
  if (own) { mixed[b * (p.channels + p.n) + d] = u; }
  return u;
}`,
    main: `
  let firstRow = group / p.tiles * ${rows}u;
  let column = group % p.tiles * ${NARROW}u;
  let own = group % p.tiles == 0u; // writes what all compute
  ${forRows(rows, (r) => `let b${r} = ${rowOf(r)}; var sum${r} = vec4f(0.0);`)}
  for (var d = lane; d < p.channels; d += ${LANES}u) {
    ${forRows(rows, (r) => `let u${r} = convolve(b${r}, d, own);`)}
    for (var j = 0u; j < min(${NARROW}u, p.n - column); j++) {
      let weight = kernel[d * p.n + column + j];
      ${forRows(rows, (r) => `sum${r}[j] += u${r} * weight;`)}
    }
  }
  ${forRows(
    rows,
    (r) => `let sums${r} = workgroupSumOfQuads(sum${r}, lane);
  if (lane < ${NARROW}u && column + lane < p.n) {
    mixed[b${r} * (p.channels + p.n) + p.channels + column + lane] = sums${r}[lane];
  }`,
  )}`,
  }),
});

/** What dt, B and C of a channel's row are multiplied by where they are normed; the lanes that share the channel add up the squares. */
const scalesWgsl = `
  var sums = vec3f();
  for (var r = share; r < p.rank; r += ${SHARES}u) { sums.x += mixed[rowDt + r] * mixed[rowDt + r]; }
  for (var n = share; n < p.dState; n += ${SHARES}u) {
    sums.y += mixed[rowB + n] * mixed[rowB + n];
    sums.z += mixed[rowC + n] * mixed[rowC + n];
  }
  squares[lane] = sums;
  workgroupBarrier();
  sums = vec3f();
  for (var l = own; l < ${CHANNELS * SHARES}u; l += ${CHANNELS}u) { sums += squares[l]; }
  let scales = inverseSqrt(sums / vec3f(f32(p.rank), vec2f(f32(p.dState))) + p.mixerEpsilon);
  `;

/** Writes the gated output over the half of `xz` that has been convolved. */
const updateState = defineProgram<{normed: boolean}>({
  name: 'MambaStep (dt_proj, state)',
  variants: combinations({normed: either}),
  build: ({normed}) => ({
    buffers: {xz: write, mixed: read, dtProj: read, dtBias: read, ALog: read, D: read, ssm: read, nextSsm: write},
    uniforms: {channels: 'u32', dState: 'u32', rank: 'u32', size: 'u32', ...(normed && {mixerEpsilon: 'f32'})},
    workgroupSize: CHANNELS * SHARES,
    declarations: `${softplusWgsl}${sigmoidWgsl}
var<workgroup> steps: array<f32, ${CHANNELS * SHARES}>;
var<workgroup> outputs: array<f32, ${CHANNELS * SHARES}>;${normed ? `\nvar<workgroup> squares: array<vec3f, ${CHANNELS * SHARES}>;` : ''}`,
    main: `
  let own = lane % ${CHANNELS}u;
  let share = lane / ${CHANNELS}u;
  // Beyond the last channel a lane goes along with it, for the barriers, and writes what its channel's own lane writes.
  let i = min(group * ${CHANNELS}u + own, p.size - 1u);
  let b = i / p.channels;
  let d = i % p.channels;
  let at = b * (p.channels + p.rank + 2u * p.dState);
  let rowDt = at + p.channels;
  let rowB = rowDt + p.rank;
  let rowC = rowB + p.dState;
  ${normed ? scalesWgsl : ''}var x = 0.0;
  for (var r = share; r < p.rank; r += ${SHARES}u) { x += mixed[rowDt + r] * dtProj[r * p.channels + d]; }
  steps[lane] = x;
  workgroupBarrier();
  x = dtBias[d];
  for (var l = own; l < ${CHANNELS * SHARES}u; l += ${CHANNELS}u) { x += steps[l]${normed ? ' * scales.x' : ''}; }
  let dt = softplus(x);
  let u = mixed[at + d];
  var y = 0.0;
  for (var n = share; n < p.dState; n += ${SHARES}u) {
    let decay = exp(-dt * exp(ALog[d * p.dState + n]));
    let h = decay * ssm[i * p.dState + n] + dt * u * mixed[rowB + n]${normed ? ' * scales.y' : ''};
    nextSsm[i * p.dState + n] = h;
    y += mixed[rowC + n]${normed ? ' * scales.z' : ''} * h;
  }
  outputs[lane] = y;
  workgroupBarrier();
  if (share > 0u) { return; }
  y = D[d] * u;
  for (var l = own; l < ${CHANNELS * SHARES}u; l += ${CHANNELS}u) { y += outputs[l]; }
  let gate = xz[(2u * b + 1u) * p.channels + d];
  xz[2u * b * p.channels + d] = y * (gate * sigmoid(gate));`,
  }),
});

const outProjAndResidual = defineProgram<{bias: boolean; rows: number}>({
  name: 'MambaStep (out_proj)',
  variants: combinations({bias: either, rows: someRows}),
  build: ({bias, rows}) => ({
    buffers: {xz: read, kernel: read, ...(bias && {bias: read}), x: read, y: write},
    uniforms: {batch: 'u32', k: 'u32', n: 'u32', tiles: 'u32'},
    workgroupSize: LANES,
    declarations: `var<workgroup> parts: array<f32, ${LANES * rows}>;`,
    main: `${columnPlace(rows, 'f32')}
  if (column < p.n) {
    for (var i = lane / ${COLUMNS}u; i < p.k; i += ${LANES / COLUMNS}u) {
      let weight = kernel[i * p.n + column];
      ${forRows(rows, (r) => `sum${r} += xz[2u * b${r} * p.k + i] * weight;`)}
    }
  }${columnSum(rows, 'f32')}
  y[b * p.n + column] = x[b * p.n + column] + total${bias ? ' + bias[column]' : ''};`,
  }),
});

interface Sizes {
  batch: number;
  dModel: number;
  channels: number;
  dState: number;
  width: number;
  rank: number;
}

/** What the dispatches of a block hand on; the next block may have the same memory. */
interface Passing {
  /** The two halves of in_proj's output [B,2E]. */
  xz: TensorInfo;
  /** The convolved input and what x_proj makes of it [B,E+R+2N]. */
  mixed: TensorInfo;
}

registerWebGPUKernel('MambaStep', (gpu, inputs, {present, ...attrs}: StepAttrs & PresentAttr) => {
  const blocks = blocksOf(inputs, present);
  const [{ssm, convWeight, dtProj}] = blocks;
  const [batch, dModel] = inputs[0].shape;
  const [, channels, dState] = ssm.shape;
  const sizes = {batch, dModel, channels, dState, width: convWeight.shape[1], rank: dtProj.shape[0]};
  const passing = {
    xz: gpu.scratch(batch * 2 * channels),
    mixed: gpu.scratch(batch * (channels + sizes.rank + 2 * dState)),
  };
  const y = gpu.output([batch, dModel]);
  let x = inputs[0];
  const states = blocks.map((block, i) => {
    const next = i + 1 < blocks.length ? gpu.scratch(batch * dModel) : y;
    const state = stepBlock(gpu, sizes, passing, block, attrs, x, next);
    x = next;
    return state;
  });
  return [y, ...states.map(({nextConv}) => nextConv), ...states.map(({nextSsm}) => nextSsm)];
});

function stepBlock(
  gpu: Gpu,
  {batch, dModel, channels, dState, width, rank}: Sizes,
  {xz, mixed}: Passing,
  block: BlockInputs<TensorInfo>,
  {epsilon, mixerEpsilon}: StepAttrs,
  x: TensorInfo,
  y: TensorInfo,
): {nextConv: TensorInfo; nextSsm: TensorInfo} {
  const {conv, ssm, inProjBias, convBias, outProjBias} = block;
  const nextConv = gpu.output(conv.shape);
  const nextSsm = gpu.output(ssm.shape);
  const n = rank + 2 * dState;
  const rows = rowsTogether(batch, ROWS);
  const rowTiles = Math.ceil(batch / rows);

  const inTiles = Math.ceil((2 * channels) / COLUMNS);
  gpu.run(
    normAndInProj,
    {bias: inProjBias !== undefined, rows},
    {
      buffers: {
        x,
        normWeight: block.normWeight,
        kernel: block.inProj,
        ...(inProjBias && {bias: inProjBias}),
        y: xz,
      },
      uniforms: {batch, k: dModel, n: 2 * channels, tiles: inTiles, epsilon},
      workgroups: rowTiles * inTiles,
    },
  );
  const xTiles = Math.ceil(n / NARROW);
  gpu.run(
    convAndXProj,
    {bias: convBias !== undefined, past: width > 1, rows},
    {
      buffers: {
        xz,
        ...(width > 1 && {conv, nextConv}),
        weight: block.convWeight,
        ...(convBias && {bias: convBias}),
        kernel: block.xProj,
        mixed,
      },
      uniforms: {batch, channels, width, n, tiles: xTiles},
      workgroups: rowTiles * xTiles,
    },
  );
  gpu.run(
    updateState,
    {normed: mixerEpsilon !== undefined},
    {
      buffers: {
        xz,
        mixed,
        dtProj: block.dtProj,
        dtBias: block.dtBias,
        ALog: block.ALog,
        D: block.D,
        ssm,
        nextSsm,
      },
      uniforms: {channels, dState, rank, size: batch * channels, ...(mixerEpsilon !== undefined && {mixerEpsilon})},
      workgroups: Math.ceil((batch * channels) / CHANNELS),
    },
  );
  const outTiles = Math.ceil(dModel / COLUMNS);
  gpu.run(
    outProjAndResidual,
    {bias: outProjBias !== undefined, rows},
    {
      buffers: {xz, kernel: block.outProj, ...(outProjBias && {bias: outProjBias}), x, y},
      uniforms: {batch, k: channels, n: dModel, tiles: outTiles},
      workgroups: rowTiles * outTiles,
    },
  );
  return {nextConv, nextSsm};
}
