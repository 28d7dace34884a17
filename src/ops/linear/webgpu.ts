/**
 * The linear map on WebGPU. TensorFlow.js's matMul there adds floats atomically when the sum is long and the result small, which is
 * what a weight's gradient is; the same inputs then do not give the same bits. This one cuts a long sum into slices and adds the
 * slices in order.
 *
 * A workgroup has a tile of 64 x 64 results, each invocation 8 x 8 of them, from tiles of both operands in workgroup memory, from where
 * it takes four numbers at a time. Few rows, as in decoding, go to `thin` instead, which reads the kernel once and shares nothing.
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
/** Terms that a slice has at least. */
const SLICE = 256;

const either = [false, true];

type Operands = {transposeA: boolean; transposeB: boolean; bias: boolean};

/** Groups of four of a tile's rows or columns, and how far the next term's begin from one another: none of them in the same banks. */
const GROUPS = TILE / 4;
const STRIDE = GROUPS + 1;

const four = [0, 1, 2, 3];

/**
 * Four vectors an invocation of an operand's tile, group g being its rows g, g + 16, g + 32 and g + 48. Neighbouring invocations take
 * neighbouring numbers: of a row, or `turned`, of a term.
 */
const vectors = (turned: boolean, code: (i: number, term: string, group: string) => string) =>
  forRows(4, (i) => {
    const far = `(lane/16u+${4 * i}u)`;
    return turned ? code(i, far, 'lane%16u') : code(i, 'lane%16u', far);
  });

/** Asks for the terms from `term0` on. */
const askFor = (name: string, turned: boolean) =>
  vectors(turned, (i, term, group) => {
    const values = four.map((j) => `value${name}(from${name}+${group}+${16 * j}u,term0+${term},end)`);
    return `next${name}${i}=vec4f(${values.join()});`;
  });

const put = (name: string, turned: boolean) =>
  vectors(turned, (i, term, group) => `tile${name}[${term}*${STRIDE}u+${group}]=next${name}${i};`);

const eachSum = (line: (r: number, c: number) => string) => forRows(8, (r) => [0, 1].map((c) => line(r, c)).join(' '));

/** c[slice] = a·b over the slice's terms: a [m,k] or, transposed, [k,m]; b [k,n] or [n,k]. */
const product = defineProgram<Operands>({
  name: 'Linear (product)',
  variants: combinations({transposeA: either, transposeB: either, bias: either}),
  build: ({transposeA, transposeB, bias}) => ({
    buffers: {a: read, b: read, ...(bias && {bias: read}), c: write},
    uniforms: {m: 'u32', n: 'u32', k: 'u32', slice: 'u32', tilesM: 'u32', tilesN: 'u32'},
    workgroupSize: 64,
    declarations: `
var<workgroup> tileA: array<vec4f, ${DEPTH * STRIDE}>; // [DEPTH, groups of rows]
var<workgroup> tileB: array<vec4f, ${DEPTH * STRIDE}>; // [DEPTH, groups of columns]
fn valueA(row: u32, term: u32, end: u32) -> f32 {
  if (row >= p.m || term >= end) { return 0.0; }
  return a[${transposeA ? 'term * p.m + row' : 'row * p.k + term'}];
}
fn valueB(column: u32, term: u32, end: u32) -> f32 {
  if (column >= p.n || term >= end) { return 0.0; }
  return b[${transposeB ? 'column * p.k + term' : 'term * p.n + column'}];
}`,
    main: `
  let fromB = group % p.tilesN * ${TILE}u;
  let fromA = group / p.tilesN % p.tilesM * ${TILE}u;
  let slice = group / p.tilesN / p.tilesM;
  let end = min((slice + 1u) * p.slice, p.k);
  let x = lane % 8u;
  let y = lane / 8u;
  ${forRows(4, (i) => `var nextA${i}: vec4f; var nextB${i}: vec4f;`)}
  ${eachSum((r, c) => `var sum${r}${c} = vec4f(0.0);`)}
  var term0 = slice * p.slice;
  ${askFor('A', transposeA)}
  ${askFor('B', !transposeB)}
  loop {
    workgroupBarrier();
    ${put('A', transposeA)}
    ${put('B', !transposeB)}
    workgroupBarrier();
    term0 += ${DEPTH}u;
    if (term0 < end) { // on their way while these are multiplied
      ${askFor('A', transposeA)}
      ${askFor('B', !transposeB)}
    }
    for (var term = 0u; term < ${DEPTH}u; term++) {
      let rows0 = tileA[term * ${STRIDE}u + y];
      let rows1 = tileA[term * ${STRIDE}u + y + 8u];
      let columns0 = tileB[term * ${STRIDE}u + x];
      let columns1 = tileB[term * ${STRIDE}u + x + 8u];
      ${eachSum((r, c) => `sum${r}${c} += rows${r >> 2}[${r & 3}] * columns${c};`)}
    }
    if (term0 >= end) { break; }
  }
  ${forRows(
    8,
    (r) => `{
    let row = fromA + y + ${8 * (r >> 2) + 16 * (r & 3)}u;
    if (row < p.m) {
      let at = (slice * p.m + row) * p.n;
      ${[0, 1]
        .flatMap((c) => four.map((j) => [c, j]))
        .map(
          ([c, j]) => `{
        let column = fromB + x + ${8 * c + 16 * j}u;
        if (column < p.n) { c[at + column] = sum${r}${c}[${j}]${bias ? ' + bias[column]' : ''}; }
      }`,
        )
        .join('')}
    }
  }`,
  )}`,
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
