/**
 * The linear map on WebGPU. TensorFlow.js's matMul there adds floats atomically when the sum is long and the result small, which is
 * what a weight's gradient is; the same inputs then do not give the same bits. This one cuts a long sum into slices and adds the
 * slices in order.
 *
 * A workgroup has a tile of 64 x 64 results, each invocation 4 x 4 of them, from tiles of both operands in workgroup memory. Few rows,
 * as in decoding, go to `thin` instead, which reads the kernel once and shares nothing.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import type {Shader} from '../../backends/webgpuProgram';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import {
  THIN_ROWS,
  beginSums,
  partsOfSums,
  putParts,
  sixteenToAnOutput,
  thinUniforms,
  thinVariants,
} from '../webgpuThin';
import type {Thin} from '../webgpuThin';
import {forRows, rowsTogether} from '../wgsl';
import type {LinearAttrs, LinearGradInput, LinearInput} from './kernels';

const TILE = 64;
/** Terms of the sum that are in workgroup memory at a time. */
const DEPTH = 16;
/** Workgroups that keep a device busy; with fewer tiles, the sum is cut into slices. */
const BUSY = 64;
/** Terms that a slice has at least: to add slices is a dispatch more, which takes a host longer than a device these. */
const SLICE = 1024;

const either = [false, true];

type Products = {transposeKernel: boolean; bias: boolean; gradients: boolean};

/** One operand of a product: its element for a row (or column) of the result and a term of the sum, and whether its terms are its rows. */
interface Operand {
  element: string;
  byTerm: boolean;
}

/** x·kernel, and what its gradients multiply; `t`: whether the kernel is transposed. */
const operands = (t: boolean) => {
  const x = {element: 'x[at * p.width + term]', byTerm: false};
  const xTurned = {element: 'x[term * p.width + at]', byTerm: true};
  const dy = {element: 'dy[at * p.out + term]', byTerm: false};
  const dyTurned = {element: 'dy[term * p.out + at]', byTerm: true};
  const byInput = t ? 'kernel[at * p.width + term]' : 'kernel[term * p.out + at]';
  const byOutput = t ? 'kernel[term * p.width + at]' : 'kernel[at * p.out + term]';
  return {
    y: [x, {element: byInput, byTerm: !t}],
    dx: [dy, {element: byOutput, byTerm: t}],
    dKernel: t ? [dyTurned, xTurned] : [xTurned, dyTurned],
  };
};

/** Puts DEPTH terms of an operand into workgroup memory, so that neighbouring invocations read neighbouring numbers. */
const load = (tile: string, {element, byTerm}: Operand, first: string, size: string) => `
    for (var i = lane; i < ${DEPTH * TILE}u; i += 256u) {
      let at = ${first} + ${byTerm ? `i % ${TILE}u` : `i / ${DEPTH}u`};
      let term = term0 + ${byTerm ? `i / ${TILE}u` : `i % ${DEPTH}u`};
      var value = 0.0;
      if (at < ${size} && term < end) { value = ${element}; }
      ${tile}[${byTerm ? 'i' : `i % ${DEPTH}u * ${TILE}u + i / ${DEPTH}u`}] = value;
    }`;

const loadBoth = ([a, b]: Operand[]) => load('tileA', a, 'row0', 'm') + load('tileB', b, 'column0', 'n');

/**
 * y = x·kernel (+ bias), or both gradients, dx and then dKernel, each over a slice of its sum: x [rows,width], y [rows,out], kernel
 * [width,out] or, transposed, [out,width].
 */
const product = defineProgram<Products>({
  name: 'Linear (product)',
  variants: [
    ...combinations({transposeKernel: either, bias: either, gradients: [false]}),
    ...combinations({transposeKernel: either, bias: [false], gradients: [true]}),
  ],
  build: ({transposeKernel, bias, gradients}): Shader => {
    const {y, dx, dKernel} = operands(transposeKernel);
    const [m, n] = transposeKernel ? ['p.out', 'p.width'] : ['p.width', 'p.out'];
    const place = '(slice * m + row) * n + column';
    return {
      buffers: {
        x: read,
        kernel: read,
        ...(bias && {bias: read}),
        ...(gradients ? {dy: read, dx: write, dKernel: write} : {y: write}),
      },
      uniforms: {
        rows: 'u32',
        width: 'u32',
        out: 'u32',
        slice: 'u32',
        ...(gradients && {kernelSlice: 'u32', first: 'u32'}),
      },
      workgroupSize: 256,
      declarations: `
var<workgroup> tileA: array<f32, ${DEPTH * TILE}>; // [DEPTH, rows]
var<workgroup> tileB: array<f32, ${DEPTH * TILE}>; // [DEPTH, columns]`,
      main: `
  ${
    gradients
      ? `let ofKernel = group >= p.first;
  let own = select(group, group - p.first, ofKernel);
  let m = select(p.rows, ${m}, ofKernel);
  let n = select(p.width, ${n}, ofKernel);
  let k = select(p.out, p.rows, ofKernel);
  let depth = select(p.slice, p.kernelSlice, ofKernel);`
      : `let own = group;
  let m = p.rows;
  let n = p.out;
  let k = p.width;
  let depth = p.slice;`
  }
  let tilesN = (n + ${TILE - 1}u) / ${TILE}u;
  let tilesM = (m + ${TILE - 1}u) / ${TILE}u;
  let column0 = own % tilesN * ${TILE}u;
  let row0 = own / tilesN % tilesM * ${TILE}u;
  let slice = own / tilesN / tilesM;
  let end = min((slice + 1u) * depth, k);
  let x0 = lane % 16u;
  let y0 = lane / 16u;
  var sums: array<vec4f, 4>;
  for (var term0 = slice * depth; term0 < end; term0 += ${DEPTH}u) {
    ${
      gradients
        ? `if (ofKernel) {${loadBoth(dKernel)}
    } else {${loadBoth(dx)}
    }`
        : loadBoth(y)
    }
    workgroupBarrier();
    for (var term = 0u; term < ${DEPTH}u; term++) {
      let atB = term * ${TILE}u + x0;
      let columns = vec4f(tileB[atB], tileB[atB + 16u], tileB[atB + 32u], tileB[atB + 48u]);
      let atA = term * ${TILE}u + y0;
      sums[0] += tileA[atA] * columns;
      sums[1] += tileA[atA + 16u] * columns;
      sums[2] += tileA[atA + 32u] * columns;
      sums[3] += tileA[atA + 48u] * columns;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let row = row0 + y0 + 16u * i;
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + x0 + 16u * j;
      if (row < m && column < n) {
        ${
          gradients
            ? `if (ofKernel) { dKernel[${place}] = sums[i][j]; } else { dx[${place}] = sums[i][j]; }`
            : `y[${place}] = sums[i][j]${bias ? ' + bias[column]' : ''};`
        }
      }
    }
  }`,
    };
  },
});

/** For few rows: 64 columns of all of them a workgroup, the sums in four interleaved parts. */
const thin = defineProgram<Thin>({
  name: 'Linear (thin)',
  variants: thinVariants(),
  build: ({bias, rows}) => ({
    buffers: {x: read, kernel: read, ...(bias && {bias: read}), y: write},
    uniforms: thinUniforms,
    workgroupSize: 256,
    declarations: partsOfSums(rows, 256),
    main: `
  let own = lane % 64u;
  let column = group * 64u + own;
  ${beginSums(rows)}
  if (column < p.n) {
    for (var i = lane / 64u; i < p.k; i += 4u) {
      let weight = kernel[i * p.n + column];
      ${forRows(rows, (r) => `sum${r} += x[row${r} + i] * weight;`)}
    }
  }
  ${putParts(rows, 256)}
  if (column >= p.n) { return; }
  for (var row = lane / 64u; row < p.m; row += 4u) {
    let at = 256u * row + own;
    let total = (parts[at] + parts[at + 64u]) + (parts[at + 128u] + parts[at + 192u]);
    y[row * p.n + column] = total${bias ? ' + bias[column]' : ''};
  }`,
  }),
});

/** For few rows and a transposed kernel: 16 invocations a column, which read a row of the kernel side by side. */
const thinTransposed = defineProgram<Thin>({
  name: 'Linear (thin, transposed)',
  variants: thinVariants(),
  build: ({bias, rows}) => ({
    buffers: {x: read, kernel: read, ...(bias && {bias: read}), y: write},
    uniforms: thinUniforms,
    workgroupSize: 64,
    declarations: partsOfSums(rows, 64),
    main: sixteenToAnOutput(
      {bias, rows},
      `
    for (var i = lane % 16u; i < p.k; i += 16u) {
      let weight = kernel[column * p.k + i];
      ${forRows(rows, (r) => `sum${r} += x[row${r} + i] * weight;`)}
    }`,
    ),
  }),
});

/** How a product is cut: the terms of a slice, the slices, and the workgroups of them all. A sum that must stay whole is one slice. */
function cut(m: number, n: number, k: number, isWhole = false) {
  const tiles = Math.ceil(m / TILE) * Math.ceil(n / TILE);
  const wanted = isWhole ? 1 : Math.max(Math.floor(Math.min(BUSY / tiles, k / SLICE)), 1);
  const slice = Math.ceil(k / wanted / DEPTH) * DEPTH;
  const slices = Math.ceil(k / slice);
  return {slice, slices, workgroups: tiles * slices};
}

/** Where the slices of a product go, and what adds them up into `result`. */
function inSlices(gpu: Gpu, result: TensorInfo, {slices}: {slices: number}) {
  const size = sizeOf(result.shape);
  const parts = slices === 1 ? result : gpu.scratch(slices * size);
  const add = () => slices > 1 && sumRows(gpu, parts, slices, size, result);
  return {parts, add};
}

registerWebGPUKernel('Linear', (gpu, inputs, {present, transposeKernel}: LinearAttrs & PresentAttr) => {
  const named = byName<LinearInput, TensorInfo>(inputs, present);
  const [x, kernel, bias] = [named.x!, named.kernel!, named.bias];
  const [rows, k] = x.shape;
  const n = kernel.shape[transposeKernel ? 0 : 1];
  const y = gpu.output([rows, n]);
  if (rows > THIN_ROWS) {
    // A bias is added once, so a sum with one stays whole.
    const how = cut(rows, n, k, bias !== undefined);
    const {parts, add} = inSlices(gpu, y, how);
    gpu.run(
      product,
      {transposeKernel, bias: bias !== undefined, gradients: false},
      {
        buffers: {x, kernel, bias, y: parts},
        uniforms: {rows, width: k, out: n, slice: how.slice},
        workgroups: how.workgroups,
      },
    );
    add();
    return [y];
  }
  gpu.run(
    transposeKernel ? thinTransposed : thin,
    {bias: bias !== undefined, rows: rowsTogether(rows, THIN_ROWS)},
    {
      buffers: {x, kernel, bias, y},
      uniforms: {m: rows, n, k},
      workgroups: Math.ceil(n / (transposeKernel ? 4 : 64)),
    },
  );
  return [y];
});

registerWebGPUKernel('LinearGrad', (gpu, inputs, {present, transposeKernel}: LinearAttrs & PresentAttr) => {
  const named = byName<LinearGradInput, TensorInfo>(inputs, present);
  const [x, kernel, dy] = [named.x!, named.kernel!, named.dy!];
  const [rows, width] = x.shape;
  const out = dy.shape[1];
  const dx = gpu.output(x.shape);
  const dKernel = gpu.output(kernel.shape);
  const ofInput = cut(rows, width, out);
  const ofKernel = cut(kernel.shape[0], kernel.shape[1], rows);
  const [toInput, toKernel] = [inSlices(gpu, dx, ofInput), inSlices(gpu, dKernel, ofKernel)];
  gpu.run(
    product,
    {transposeKernel, bias: false, gradients: true},
    {
      buffers: {x, kernel, dy, dx: toInput.parts, dKernel: toKernel.parts},
      uniforms: {
        rows,
        width,
        out,
        slice: ofInput.slice,
        kernelSlice: ofKernel.slice,
        first: ofInput.workgroups,
      },
      workgroups: ofInput.workgroups + ofKernel.workgroups,
    },
  );
  toInput.add();
  toKernel.add();
  if (!named.bias) return [dx, dKernel];
  const dBias = gpu.output(named.bias.shape);
  sumRows(gpu, dy, rows, out, dBias);
  return [dx, dKernel, dBias];
});
