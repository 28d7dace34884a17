/**
 * The causal convolution on WebGPU; every invocation has its own element. The forward serves the single step too, which is a sequence
 * of length one.
 *
 * The backward first makes the gradient of the sums before the activation, of the size of y, so that neither the gradient of x nor that
 * of the weight has to recompute a neighbour's sum. The same program adds up what its positions give to the weight.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, readInts, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {fewRows, sumRows} from '../webgpuSums';
import {sigmoidWgsl} from '../wgsl';
import type {ConvAttrs, ConvGradInput} from './kernels';
import {convInputs} from './kernels';

/** Positions over which one invocation adds gradients of the weight. */
const BLOCK = 16;

/** Where the inputs before the first position come from: `none` if the width is 1, and there are none. */
type Past = 'none' | 'zero' | 'given';
const pasts: Past[] = ['none', 'zero', 'given'];

const either = [false, true];

/** `packed`: the rows are packed documents. */
type Sums = {past: Past; bias: boolean; silu: boolean; packed: boolean};

const pastBuffer = (past: Past) => past === 'given' && {initialState: read};

const idsBuffer = (packed: boolean) => packed && {ids: readInts};

/**
 * `isSame(b, from, to)`: whether the positions are of one document, from ≤ to counted from the first of the K-1 past inputs, which are of
 * the row's first document.
 */
const isSameWgsl = `
fn isSame(b: u32, start: u32, end: u32) -> bool {
  for (var t = max(start + 1u, p.width); t <= end; t++) {
    let at = b * p.length + t - p.width;
    if (ids[at] != ids[at + 1u]) { return false; }
  }
  return true;
}`;

/** `inputAt(b, t, d)` for t counted from the first of the K-1 past inputs. */
const inputWgsl = (past: Past) => `
fn inputAt(b: u32, t: u32, d: u32) -> f32 {
  ${past === 'none' ? '' : `if (t < p.width - 1u) { return ${past === 'given' ? 'initialState[(b * (p.width - 1u) + t) * p.channels + d]' : '0.0'}; }`}
  return x[(b * p.length + t + 1u - p.width) * p.channels + d];
}`;

/** `code` only where both are of one document. */
const ifSame = (packed: boolean, start: string, end: string, code: string) =>
  packed ? `if (isSame(b, ${start}, ${end})) { ${code} }` : code;

/** `sumAt(b, t, d)` before the activation. */
const sumsWgsl = ({past, bias, packed}: Omit<Sums, 'silu'>) => `${packed ? isSameWgsl : ''}${inputWgsl(past)}
fn sumAt(b: u32, t: u32, d: u32) -> f32 {
  var sum = ${bias ? 'bias[d]' : '0.0'};
  for (var k = 0u; k < p.width; k++) {
    ${ifSame(packed, 't + k', 't + p.width - 1u', 'sum += weight[d * p.width + k] * inputAt(b, t + k, d);')}
  }
  return sum;
}`;

const sizes = {length: 'u32', channels: 'u32', width: 'u32', size: 'u32'} as const;

/** Elements of y, and after them those of the final state. */
const forward = defineProgram<Sums>({
  name: 'CausalConv1d',
  variants: combinations({past: pasts, bias: either, silu: either, packed: either}),
  build: ({past, bias, silu, packed}) => ({
    buffers: {
      x: read,
      weight: read,
      ...(bias && {bias: read}),
      ...pastBuffer(past),
      ...idsBuffer(packed),
      y: write,
      ...(past !== 'none' && {finalState: write}),
    },
    uniforms: {...sizes, ySize: 'u32'},
    declarations: sumsWgsl({past, bias, packed}) + (silu ? sigmoidWgsl : ''),
    main: `
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
    let t = p.length + row % (p.width - 1u);
    ${packed ? 'finalState[k] = 0.0;' : ''}
    ${ifSame(packed, 't', 'p.length + p.width - 2u', 'finalState[k] = inputAt(b, t, k % p.channels);')}
  }`
  }`,
  }),
});

/**
 * An invocation has a channel of a block of positions: dSum = dy · silu'(sum), the gradient of the sum, and in column k < K of the block the
 * gradient of the weight; in column K that of the bias.
 */
const weightGradient = defineProgram<Sums>({
  name: 'CausalConv1dGrad (weight)',
  variants: combinations({past: pasts, bias: either, silu: either, packed: either}),
  build: ({past, bias, silu, packed}) => ({
    buffers: {
      x: read,
      weight: read,
      ...(bias && {bias: read}),
      ...pastBuffer(past),
      ...idsBuffer(packed),
      dy: read,
      dSum: write,
      blocks: write,
    },
    uniforms: {...sizes, rows: 'u32'},
    declarations: sumsWgsl({past, bias, packed}) + sigmoidWgsl,
    main: `
  let d = i % p.channels;
  let block = i / p.channels;
  let first = block * ${BLOCK}u;
  let end = min(first + ${BLOCK}u, p.rows);
  for (var row = first; row < end; row++) {
    let at = row * p.channels + d;
    let sum = sumAt(row / p.length, row % p.length, d);
    dSum[at] = dy[at]${silu ? ' * siluSlope(sum)' : ''};
  }
  for (var k = 0u; k <= p.width; k++) {
    var sum = 0.0;
    for (var row = first; row < end; row++) {
      let g = dSum[row * p.channels + d];
      let b = row / p.length;
      let t = row % p.length;
      if (k == p.width) { sum += g; } else { ${ifSame(packed, 't + k', 't + p.width - 1u', 'sum += g * inputAt(b, t + k, d);')} }
    }
    blocks[(block * (p.width + 1u) + k) * p.channels + d] = sum;
  }`,
  }),
});

/** Whether the bias has its gradient here: with all else there would be nine buffers, where a device may have eight. */
const hasRoom = (past: Past, packed: boolean) => past !== 'given' || !packed;

/**
 * Elements of dx; after them those of the gradient of the initial state; and after them the sums over all blocks, of which few are left,
 * [blocks,K+1,D], to the weight [D,K] and the bias [D].
 */
const inputGradient = defineProgram<{past: Past; packed: boolean; bias: boolean}>({
  name: 'CausalConv1dGrad (input, sums)',
  variants: combinations({past: pasts, packed: either, bias: either}).filter(
    ({past, packed, bias}) => !bias || hasRoom(past, packed),
  ),
  build: ({past, packed, bias}) => ({
    buffers: {
      ...idsBuffer(packed),
      weight: read,
      dSum: read,
      dx: write,
      ...(past !== 'none' && {dFinalState: read}),
      ...(past === 'given' && {dInitialState: write}),
      blocks: read,
      dWeight: write,
      ...(bias && {dBias: write}),
    },
    uniforms: {...sizes, xSize: 'u32', pastSize: 'u32', rows: 'u32'},
    declarations: `${packed ? isSameWgsl : ''}
// t counts from the first of the K-1 past inputs; that input met the sums t-K+1 ... t.
fn gradientAt(b: u32, t: u32, d: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < p.width; k++) {
    if (t >= k && t - k < p.length) {
      ${ifSame(packed, 't', 't - k + p.width - 1u', 'sum += weight[d * p.width + k] * dSum[(b * p.length + t - k) * p.channels + d];')}
    }
  }
  ${
    past === 'none'
      ? ''
      : `if (t >= p.length) {
    ${ifSame(packed, 't', 'p.length + p.width - 2u', 'sum += dFinalState[(b * (p.width - 1u) + t - p.length) * p.channels + d];')}
  }`
  }
  return sum;
}`,
    main: `
  let d = i % p.channels;
  if (i < p.xSize) {
    let row = i / p.channels;
    dx[i] = gradientAt(row / p.length, row % p.length + p.width - 1u, d);
    return;
  }
  i -= p.xSize;
  ${
    past === 'given'
      ? `if (i < p.pastSize) {
    let row = i / p.channels;
    dInitialState[i] = gradientAt(row / (p.width - 1u), row % (p.width - 1u), d);
    return;
  }
  i -= p.pastSize;`
      : ''
  }
  let k = i / p.channels;
  var sum = 0.0;
  for (var block = 0u; block < p.rows; block++) { sum += blocks[block * (p.width + 1u) * p.channels + i]; }
  if (k < p.width) { dWeight[d * p.width + k] = sum; }${bias ? ' else { dBias[d] = sum; }' : ''}`,
  }),
});

type ConvTensors = Record<'x' | 'weight', TensorInfo> &
  Partial<Record<'bias' | 'initialState' | 'sequenceIds', TensorInfo>>;

/** y of x's shape and finalState [B,K-1,D], for x [B,L,D]. */
export function convolve(
  gpu: Gpu,
  {x, weight, bias, initialState, sequenceIds: ids}: ConvTensors,
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
    {past, bias: bias !== undefined, silu: activation === 'silu', packed: ids !== undefined},
    {
      buffers: {
        x,
        weight,
        bias,
        initialState,
        ids,
        y,
        finalState,
      },
      uniforms: {length, channels, width, size, ySize},
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
  const {
    x,
    weight,
    bias,
    initialState,
    sequenceIds: ids,
    dy,
    dFinalState,
  } = named as typeof named & Partial<typeof named>;
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  const past: Past = width === 1 ? 'none' : initialState ? 'given' : 'zero';
  const hasBias = bias !== undefined;
  const rows = batch * length;
  const xSize = rows * channels;
  const gradients = Object.fromEntries(
    convInputs.filter((name) => named[name]).map((name) => [name, gpu.output(named[name].shape)]),
  );
  const packed = ids !== undefined;

  const dSum = gpu.scratch(xSize);
  const blockCount = Math.ceil(rows / BLOCK);
  const columns = (width + 1) * channels;
  const blocks = gpu.scratch(blockCount * columns);
  gpu.run(
    weightGradient,
    {past, bias: hasBias, silu: activation === 'silu', packed},
    {
      buffers: {x, weight, bias, initialState, ids, dy, dSum, blocks},
      uniforms: {length, channels, width, size: blockCount * channels, rows},
    },
  );

  const few = fewRows(gpu, blocks, blockCount, columns);
  const pastSize = past === 'given' ? batch * (width - 1) * channels : 0;
  const sumsBias = hasBias && hasRoom(past, packed);
  gpu.run(
    inputGradient,
    {past, packed, bias: sumsBias},
    {
      buffers: {
        ...{ids, weight, dSum, dx: gradients.x, dFinalState, dInitialState: gradients.initialState},
        ...{blocks: few.x, dWeight: gradients.weight, dBias: gradients.bias},
      },
      uniforms: {
        ...{length, channels, width, xSize, pastSize, rows: few.rows},
        size: xSize + pastSize + (width + Number(sumsBias)) * channels,
      },
    },
  );
  if (hasBias && !sumsBias) sumRows(gpu, dSum, rows, channels, gradients.bias);
  return Object.values(gradients);
});
