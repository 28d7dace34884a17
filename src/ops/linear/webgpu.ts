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
import {registerWebGPUKernel} from '../../backends/webgpu';
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

type Operands = {transposeA: boolean; transposeB: boolean; bias: boolean};

/** c[slice] = a·b over the slice's terms: a [m,k] or, transposed, [k,m]; b [k,n] or [n,k]. */
const product = defineProgram<Operands>({
  name: 'Linear (product)',
  variants: combinations({transposeA: either, transposeB: either, bias: either}),
  build: ({transposeA, transposeB, bias}) => ({
    buffers: {a: read, b: read, ...(bias && {bias: read}), c: write},
    uniforms: {m: 'u32', n: 'u32', k: 'u32', slice: 'u32', tilesM: 'u32', tilesN: 'u32'},
    workgroupSize: 256,
    declarations: `
var<workgroup> tileA: array<f32, ${DEPTH * TILE}>; // [DEPTH, rows]
var<workgroup> tileB: array<f32, ${DEPTH * TILE}>; // [DEPTH, columns]
fn valueA(row: u32, term: u32, end: u32) -> f32 {
  if (row >= p.m || term >= end) { return 0.0; }
  return a[${transposeA ? 'term * p.m + row' : 'row * p.k + term'}];
}
fn valueB(term: u32, column: u32, end: u32) -> f32 {
  if (column >= p.n || term >= end) { return 0.0; }
  return b[${transposeB ? 'column * p.k + term' : 'term * p.n + column'}];
}`,
    main: `
  let tileN = group % p.tilesN;
  let tileM = group / p.tilesN % p.tilesM;
  let slice = group / p.tilesN / p.tilesM;
  let row0 = tileM * ${TILE}u;
  let column0 = tileN * ${TILE}u;
  let end = min((slice + 1u) * p.slice, p.k);
  let x = lane % 16u;
  let y = lane / 16u;
  var sums: array<vec4f, 4>;
  for (var term0 = slice * p.slice; term0 < end; term0 += ${DEPTH}u) {
    // Neighbouring invocations read neighbouring numbers.
    for (var i = lane; i < ${DEPTH * TILE}u; i += 256u) {
      ${
        transposeA
          ? `tileA[i] = valueA(row0 + i % ${TILE}u, term0 + i / ${TILE}u, end);`
          : `tileA[i % ${DEPTH}u * ${TILE}u + i / ${DEPTH}u] = valueA(row0 + i / ${DEPTH}u, term0 + i % ${DEPTH}u, end);`
      }
      ${
        transposeB
          ? `tileB[i % ${DEPTH}u * ${TILE}u + i / ${DEPTH}u] = valueB(term0 + i % ${DEPTH}u, column0 + i / ${DEPTH}u, end);`
          : `tileB[i] = valueB(term0 + i / ${TILE}u, column0 + i % ${TILE}u, end);`
      }
    }
    workgroupBarrier();
    for (var term = 0u; term < ${DEPTH}u; term++) {
      let atB = term * ${TILE}u + x;
      let columns = vec4f(tileB[atB], tileB[atB + 16u], tileB[atB + 32u], tileB[atB + 48u]);
      let atA = term * ${TILE}u + y;
      sums[0] += tileA[atA] * columns;
      sums[1] += tileA[atA + 16u] * columns;
      sums[2] += tileA[atA + 32u] * columns;
      sums[3] += tileA[atA + 48u] * columns;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let row = row0 + y + 16u * i;
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + x + 16u * j;
      if (row < p.m && column < p.n) {
        c[(slice * p.m + row) * p.n + column] = sums[i][j]${bias ? ' + bias[column]' : ''};
      }
    }
  }`,
  }),
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

/** a·b (+ bias) into `c` [m,n]. */
function multiply(
  gpu: Gpu,
  a: TensorInfo,
  b: TensorInfo,
  c: TensorInfo,
  [m, n, k]: [number, number, number],
  {transposeA, transposeB}: Omit<Operands, 'bias'>,
  bias?: TensorInfo,
): void {
  const tilesM = Math.ceil(m / TILE);
  const tilesN = Math.ceil(n / TILE);
  const wanted = Math.floor(Math.min(BUSY / (tilesM * tilesN), k / SLICE));
  // A bias is added once, so a sum with one stays whole.
  const slices = bias ? 1 : Math.max(wanted, 1);
  const slice = Math.ceil(k / slices / DEPTH) * DEPTH;
  const used = Math.ceil(k / slice);
  const result = used === 1 ? c : gpu.scratch(used * m * n);
  gpu.run(
    product,
    {transposeA, transposeB, bias: bias !== undefined},
    {
      buffers: {a, b, bias, c: result},
      uniforms: {m, n, k, slice, tilesM, tilesN},
      workgroups: tilesM * tilesN * used,
    },
  );
  if (used > 1) sumRows(gpu, result, used, m * n, c);
}

registerWebGPUKernel('Linear', (gpu, inputs, {present, transposeKernel}: LinearAttrs & PresentAttr) => {
  const named = byName<LinearInput, TensorInfo>(inputs, present);
  const [x, kernel, bias] = [named.x!, named.kernel!, named.bias];
  const [rows, k] = x.shape;
  const n = kernel.shape[transposeKernel ? 0 : 1];
  const y = gpu.output([rows, n]);
  if (rows > THIN_ROWS) {
    multiply(gpu, x, kernel, y, [rows, n, k], {transposeA: false, transposeB: transposeKernel}, bias);
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
  multiply(gpu, dy, kernel, dx, [rows, width, out], {transposeA: false, transposeB: !transposeKernel});
  const transposes = {transposeA: true, transposeB: false};
  if (transposeKernel) {
    multiply(gpu, dy, x, dKernel, [out, width, rows], transposes);
  } else {
    multiply(gpu, x, dy, dKernel, [width, out, rows], transposes);
  }
  if (!named.bias) return [dx, dKernel];
  const dBias = gpu.output(named.bias.shape);
  sumRows(gpu, dy, rows, out, dBias);
  return [dx, dKernel, dBias];
});
