/**
 * The causal convolution on WebGPU; every invocation has its own element. The forward serves the single step too, which is a sequence
 * of length one.
 *
 * The backward first makes the gradient of the sums before the activation, of the size of y, so that neither the gradient of x nor that
 * of the weight has to recompute a neighbour's sum. Without an activation that is dy itself.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import {sigmoidWgsl} from '../wgsl';
import type {ConvAttrs, ConvGradInput} from './kernels';
import {convInputs} from './kernels';

/** Positions over which one invocation adds gradients of the weight. */
const BLOCK = 64;

/** Where the inputs before the first position come from: `none` if the width is 1, and there are none. */
type Past = 'none' | 'zero' | 'given';
const pasts: Past[] = ['none', 'zero', 'given'];

type Sums = {past: Past; bias: boolean; silu: boolean};
const sumVariants = combinations<Sums>({past: pasts, bias: [false, true], silu: [false, true]});

const pastBuffer = (past: Past) => past === 'given' && {initialState: read};

/** `inputAt(b, t, d)` for t counted from the first of the K-1 past inputs; `sumAt(b, t, d)` before the activation. */
const sumsWgsl = ({past, bias}: Pick<Sums, 'past' | 'bias'>) => `
fn inputAt(b: u32, t: u32, d: u32) -> f32 {
  ${past === 'none' ? '' : `if (t < p.width - 1u) { return ${past === 'given' ? 'initialState[(b * (p.width - 1u) + t) * p.channels + d]' : '0.0'}; }`}
  return x[(b * p.length + t + 1u - p.width) * p.channels + d];
}
fn sumAt(b: u32, t: u32, d: u32) -> f32 {
  var sum = ${bias ? 'bias[d]' : '0.0'};
  for (var k = 0u; k < p.width; k++) { sum += weight[d * p.width + k] * inputAt(b, t + k, d); }
  return sum;
}`;

const sizes = {length: 'u32', channels: 'u32', width: 'u32', size: 'u32'} as const;

/** Elements of y, and after them those of the final state. */
const forward = defineProgram<Sums>({
  name: 'CausalConv1d',
  variants: sumVariants,
  build: ({past, bias, silu}) => ({
    buffers: {
      x: read,
      weight: read,
      ...(bias && {bias: read}),
      ...pastBuffer(past),
      y: write,
      ...(past !== 'none' && {finalState: write}),
    },
    uniforms: {...sizes, ySize: 'u32'},
    workgroupSize: 64,
    declarations: sumsWgsl({past, bias}) + (silu ? sigmoidWgsl : ''),
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  if (i < p.ySize) {
    let row = i / p.channels;
    let sum = sumAt(row / p.length, row % p.length, i % p.channels);
    y[i] = ${silu ? 'sum * sigmoid(sum)' : 'sum'};
  }${
    past === 'none'
      ? ''
      : ` else {
    let k = i - p.ySize;
    let row = k / p.channels;
    let b = row / (p.width - 1u);
    finalState[k] = inputAt(b, p.length + row % (p.width - 1u), k % p.channels);
  }`
  }`,
  }),
});

/** dy · silu'(sum): the gradient of the sum. */
const throughSilu = defineProgram<Pick<Sums, 'past' | 'bias'>>({
  name: 'CausalConv1dGrad (activation)',
  variants: combinations({past: pasts, bias: [false, true]}),
  build: ({past, bias}) => ({
    buffers: {x: read, weight: read, ...(bias && {bias: read}), ...pastBuffer(past), dy: read, dSum: write},
    uniforms: sizes,
    workgroupSize: 64,
    declarations: sumsWgsl({past, bias}) + sigmoidWgsl,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let row = i / p.channels;
  dSum[i] = dy[i] * siluSlope(sumAt(row / p.length, row % p.length, i % p.channels));`,
  }),
});

/** Elements of dx, and after them those of the gradient of the initial state. */
const inputGradient = defineProgram<{past: Past}>({
  name: 'CausalConv1dGrad (input)',
  variants: combinations({past: pasts}),
  build: ({past}) => ({
    buffers: {
      weight: read,
      dSum: read,
      dx: write,
      ...(past !== 'none' && {dFinalState: read}),
      ...(past === 'given' && {dInitialState: write}),
    },
    uniforms: {...sizes, xSize: 'u32'},
    workgroupSize: 64,
    declarations: `
// t counts from the first of the K-1 past inputs; that input met the sums t-K+1 ... t.
fn gradientAt(b: u32, t: u32, d: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < p.width; k++) {
    if (t >= k && t - k < p.length) { sum += weight[d * p.width + k] * dSum[(b * p.length + t - k) * p.channels + d]; }
  }
  ${past === 'none' ? '' : 'if (t >= p.length) { sum += dFinalState[(b * (p.width - 1u) + t - p.length) * p.channels + d]; }'}
  return sum;
}`,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  if (i < p.xSize) {
    let row = i / p.channels;
    dx[i] = gradientAt(row / p.length, row % p.length + p.width - 1u, i % p.channels);
  }${
    past !== 'given'
      ? ''
      : ` else {
    let k = i - p.xSize;
    let row = k / p.channels;
    dInitialState[k] = gradientAt(row / (p.width - 1u), row % (p.width - 1u), k % p.channels);
  }`
  }`,
  }),
});

/** Column k < K of a channel: the gradient of its weight over a block of positions; column K: that of its bias. */
const weightGradient = defineProgram<{past: Past}>({
  name: 'CausalConv1dGrad (weight)',
  variants: combinations({past: pasts}),
  build: ({past}) => ({
    buffers: {x: read, ...pastBuffer(past), dSum: read, blocks: write},
    uniforms: {...sizes, rows: 'u32'},
    workgroupSize: 64,
    declarations: `
fn inputAt(b: u32, t: u32, d: u32) -> f32 {
  ${past === 'none' ? '' : `if (t < p.width - 1u) { return ${past === 'given' ? 'initialState[(b * (p.width - 1u) + t) * p.channels + d]' : '0.0'}; }`}
  return x[(b * p.length + t + 1u - p.width) * p.channels + d];
}`,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let d = i % p.channels;
  let k = i / p.channels % (p.width + 1u);
  let first = i / p.channels / (p.width + 1u) * ${BLOCK}u;
  let end = min(first + ${BLOCK}u, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    let g = dSum[row * p.channels + d];
    if (k == p.width) { sum += g; } else { sum += g * inputAt(row / p.length, row % p.length + k, d); }
  }
  blocks[i] = sum;`,
  }),
});

/** The sums over all blocks, [K+1,D], to the weight [D,K] and the bias [D]. */
const spread = defineProgram<{bias: boolean}>({
  name: 'CausalConv1dGrad (spread)',
  variants: combinations({bias: [false, true]}),
  build: ({bias}) => ({
    buffers: {total: read, dWeight: write, ...(bias && {dBias: write})},
    uniforms: {channels: 'u32', width: 'u32'},
    workgroupSize: 64,
    main: `
  let d = group * 64u + lane;
  if (d >= p.channels) { return; }
  for (var k = 0u; k < p.width; k++) { dWeight[d * p.width + k] = total[k * p.channels + d]; }
  ${bias ? 'dBias[d] = total[p.width * p.channels + d];' : ''}`,
  }),
});

type ConvTensors = Record<'x' | 'weight', TensorInfo> & Partial<Record<'bias' | 'initialState', TensorInfo>>;

/** y of x's shape and finalState [B,K-1,D], for x [B,L,D]. */
export function convolve(
  gpu: Gpu,
  {x, weight, bias, initialState}: ConvTensors,
  [batch, length, channels]: readonly number[],
  activation: ConvAttrs['activation'],
): TensorInfo[] {
  const width = weight.shape[1];
  const past = width === 1 ? 'none' : initialState ? 'given' : 'zero';
  const y = gpu.output(x.shape);
  const finalState = gpu.output([batch, width - 1, channels]);
  const ySize = sizeOf(x.shape);
  const size = ySize + sizeOf(finalState.shape);
  gpu.run(
    forward,
    {past, bias: bias !== undefined, silu: activation === 'silu'},
    {
      buffers: {
        x,
        weight,
        ...(bias && {bias}),
        ...(past === 'given' && {initialState}),
        y,
        ...(past !== 'none' && {finalState}),
      },
      uniforms: {length, channels, width, size, ySize},
      workgroups: Math.ceil(size / 64),
    },
  );
  return [y, finalState];
}

registerWebGPUKernel('CausalConv1d', (gpu, inputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const tensors = byName(inputs, present) as ConvTensors;
  return convolve(gpu, tensors, tensors.x.shape, activation);
});

registerWebGPUKernel('CausalConv1dGrad', (gpu, inputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const named = byName<ConvGradInput, TensorInfo>(inputs, present) as Record<ConvGradInput, TensorInfo>;
  const {x, weight, bias, initialState, dy, dFinalState} = named as typeof named & Partial<typeof named>;
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  const past: Past = width === 1 ? 'none' : initialState ? 'given' : 'zero';
  const hasBias = bias !== undefined;
  const rows = batch * length;
  const xSize = rows * channels;
  const gradients = Object.fromEntries(
    convInputs.filter((name) => named[name]).map((name) => [name, gpu.output(named[name].shape)]),
  );
  const pastInput = past === 'given' ? {initialState} : undefined;

  let dSum = dy;
  if (activation === 'silu') {
    dSum = gpu.scratch(xSize);
    gpu.run(
      throughSilu,
      {past, bias: hasBias},
      {
        buffers: {x, weight, ...(hasBias && {bias}), ...pastInput, dy, dSum},
        uniforms: {length, channels, width, size: xSize},
        workgroups: Math.ceil(xSize / 64),
      },
    );
  }

  const inputSize = xSize + (past === 'given' ? batch * (width - 1) * channels : 0);
  gpu.run(
    inputGradient,
    {past},
    {
      buffers: {
        weight,
        dSum,
        dx: gradients.x,
        ...(past !== 'none' && {dFinalState}),
        ...(past === 'given' && {dInitialState: gradients.initialState}),
      },
      uniforms: {length, channels, width, size: inputSize, xSize},
      workgroups: Math.ceil(inputSize / 64),
    },
  );

  const blockCount = Math.ceil(rows / BLOCK);
  const columns = (width + 1) * channels;
  const blocks = gpu.scratch(blockCount * columns);
  gpu.run(
    weightGradient,
    {past},
    {
      buffers: {x, ...pastInput, dSum, blocks},
      uniforms: {length, channels, width, size: blockCount * columns, rows},
      workgroups: Math.ceil((blockCount * columns) / 64),
    },
  );
  const total = gpu.scratch(columns);
  sumRows(gpu, blocks, blockCount, columns, total);
  gpu.run(
    spread,
    {bias: hasBias},
    {
      buffers: {total, dWeight: gradients.weight, ...(hasBias && {dBias: gradients.bias})},
      uniforms: {channels, width},
      workgroups: Math.ceil(channels / 64),
    },
  );
  return Object.values(gradients);
});
