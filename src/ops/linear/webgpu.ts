/**
 * The linear map on WebGPU. TensorFlow.js's matMul there adds floats atomically when the sum is long and the result small, which is
 * what a weight's gradient is; the same inputs then do not give the same bits. This one cuts a long sum into slices and adds the
 * slices in order.
 *
 * A workgroup has a tile of 64 x 64 or 32 x 32 results, each invocation 4 x 4 of them, from tiles of both operands in workgroup memory. Few rows,
 * as in decoding, go to webgpuFewRows.ts instead where there is a language model.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel} from '../../backends/webgpu';
import type {Shader} from '../../backends/webgpuProgram';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import type {Named, PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import {THIN_ROWS} from '../webgpuThin';
import {forRows} from '../wgsl';
import type {LinearAttrs, LinearGradInput, LinearInput} from './kernels';

/** Rows and columns of a tile, of 4 × 4 results an invocation. Terms of the sum that are in workgroup memory at a time: DEPTH / tile. */
const TILE = 64;
const SMALL = 32;
const DEPTH = 1024;
/** With fewer tiles they are small ones, as there are multiprocessors that would have none. */
const MANY = 128;
/** Workgroups that keep a device busy; with fewer tiles, the sum is cut into slices. */
const BUSY = 64;
/** Terms that a slice has at least: to add slices is a dispatch more, which takes a host longer than a device these. */
const SLICE = 1024;

const either = [false, true];

/** y of so many parts, or both gradients, where something may be added to that of x. */
type Product = {
  transposeKernel: boolean;
  bias: boolean;
  gradients: boolean;
  parts: number;
  passed: boolean;
  tile: number;
};

/**
 * Puts the next terms of an operand into workgroup memory, four numbers an invocation: of the left one terms of a row, of the right one columns
 * of a term. Neighbouring invocations read neighbouring numbers. What is read of rows and columns that are not there is in no result.
 */
const load = (isLeft: boolean, tile: number, name: string, byTerm: boolean) => {
  const operand = isLeft ? 'A' : 'B';
  const places = isLeft ? tile : DEPTH / tile;
  const [place, four, by] = isLeft === byTerm ? ['%', '/', places] : ['/', '%', 256 / places];
  const numbers = forRows(4, (j) => {
    const term = isLeft ? `term + 4u * four + ${j}u` : 'term + place';
    const at = `at${operand} + ${isLeft ? 'place' : `4u * four + ${j}u`}`;
    return `select(0.0, ${name}At(${byTerm ? `${term}, ${at}` : `${at}, ${term}`}), ${term} < end),`;
  });
  return `for (var i = lane; i < 256u; i += ${(tile * tile) / 16}u) {
    let place = i ${place} ${by}u;
    let four = i ${four} ${by}u;
    tile${operand}[place * ${256 / places}u + four] = vec4f(${numbers}); }`;
};

const elementAt = (name: string, width: string) =>
  `fn ${name}At(row: u32, column: u32) -> f32 { return ${name}[row * p.${width} + column]; }\n`;

/** The parts of y, one beside the other, or those of its gradient. */
const partNames = ['dy', 'dy1', 'dy2'] as const;

/**
 * y = x·kernel (+ bias); or both gradients, dx (+ passed) and behind it dKernel, each over a slice of its sum. x is [rows,width], kernel
 * [width,out] or, transposed, [out,width].
 */
const product = defineProgram<Product>({
  name: 'Linear (product)',
  variants: [
    ...combinations({transposeKernel: either, bias: either, gradients: [false], parts: [1], passed: [false]}),
    ...combinations({transposeKernel: either, bias: [false], gradients: [true], parts: [1], passed: [false]}),
    ...combinations({transposeKernel: [false], bias: [false], gradients: either, parts: [3], passed: [false]}),
    {transposeKernel: false, bias: false, gradients: true, parts: 2, passed: true},
  ].flatMap((variant) => [SMALL, TILE].map((tile) => ({...variant, tile}))),
  build: ({transposeKernel, bias, gradients, parts, passed, tile}): Shader => {
    const names = partNames.slice(0, parts);
    const inPart = (code: (element: string) => string) =>
      names
        .map((name) => `if (i < p.${name}) { ${code(`${name}[row * p.${name} + i]`)}; } i -= p.${name};`)
        .join('\n  ');
    /** Both operands, and whether the terms of each are its rows. */
    const loadBoth = (a: string, aByTerm: boolean, b: string, bByTerm: boolean) =>
      load(true, tile, a, aByTerm) + load(false, tile, b, bByTerm);
    const across = tile / 4;
    const uniforms = ['rows', 'width', 'out', 'slice', 'first', 'kernelSlice', ...names];
    return {
      buffers: {
        x: read,
        kernel: read,
        ...(bias && {bias: read}),
        ...(passed && {passed: read}),
        ...Object.fromEntries(names.map((name) => [name, gradients ? read : write])),
        ...(gradients && {dx: write, dKernel: write}),
      },
      uniforms: Object.fromEntries(uniforms.map((name) => [name, 'u32'])),
      workgroupSize: across * across,
      declarations: `
var<workgroup> tileA: array<vec4f, 256>; // [rows, DEPTH]
var<workgroup> tileB: array<vec4f, 256>; // [DEPTH, columns]
${elementAt('x', 'width') + elementAt('kernel', transposeKernel ? 'width' : 'out')}
${
  gradients
    ? `fn dyAt(row: u32, column: u32) -> f32 {
  var i = column;
  ${inPart((element) => `return ${element}`)}
  return 0.0;
}`
    : `fn store(row: u32, column: u32, value: f32) {
  var i = column;
  ${inPart((element) => `${element} = value; return`)}
}`
}`,
      main: `
  let ofKernel = group >= p.first;
  let own = select(group, group - p.first, ofKernel);
  // Rows and columns of the result, terms, and terms of a slice.
  ${
    gradients
      ? `let size = select(vec4u(p.rows, p.width, p.out, p.slice),
    vec4u(${transposeKernel ? 'p.out, p.width' : 'p.width, p.out'}, p.rows, p.kernelSlice), ofKernel);`
      : 'let size = vec4u(p.rows, p.out, p.width, p.slice);'
  }
  let tiles = (size + ${tile - 1}u) / ${tile}u;
  let slice = own / tiles.y / tiles.x;
  let atA = own / tiles.y % tiles.x * ${tile}u;
  let atB = own % tiles.y * ${tile}u;
  let end = min((slice + 1u) * size.w, size.z);
  var sums: array<vec4f, 4>;
  for (var term = slice * size.w; term < end; term += ${DEPTH / tile}u) {
    ${
      gradients
        ? `if (ofKernel) {${transposeKernel ? loadBoth('dy', true, 'x', true) : loadBoth('x', true, 'dy', true)}
    } else {${loadBoth('dy', false, 'kernel', transposeKernel)}
    }`
        : loadBoth('x', false, 'kernel', !transposeKernel)
    }
    workgroupBarrier();
    for (var four = 0u; four < ${DEPTH / 4 / tile}u; four++) {
      let place = four * ${tile}u + lane % ${across}u;
      let columns = mat4x4f(tileB[place], tileB[place + ${across}u], tileB[place + ${2 * across}u], tileB[place + ${3 * across}u]);
      for (var i = 0u; i < 4u; i++) { sums[i] += columns * tileA[${DEPTH / 4 / tile}u * (lane / ${across}u * 4u + i) + four]; }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let row = atA + lane / ${across}u * 4u + i;
    for (var j = 0u; j < 4u; j++) {
      let column = atB + lane % ${across}u * 4u + j;
      if (row < size.x && column < size.y) {
        let value = sums[i][j]${bias ? ' + bias[column]' : ''};
        let inSlice = slice * size.x + row;
        ${
          gradients
            ? `let at = inSlice * size.y + column;
        if (ofKernel) { dKernel[at] = value; } else { dx[at] = value${passed ? ' + passed[at]' : ''}; }`
            : 'store(inSlice, column, value);'
        }
      }
    }
  }`,
    };
  },
});

/** y of few rows. */
type FewRows = (gpu: Gpu, tensors: Tensors, transposeKernel: boolean) => TensorInfo;

let multiplyFew: FewRows | undefined;

/** Brings another product for few rows: ./webgpuFewRows.ts. */
export function takeFewRows(multiply: FewRows): void {
  multiplyFew = multiply;
}

/** How a product is cut: the terms of a slice of k, and the workgroups of all; where the slices go, and what adds them up. */
function cut(gpu: Gpu, result: TensorInfo, shape: readonly number[], k: number, isWhole: boolean, tile: number) {
  const [m, n] = shape;
  const tiles = tilesOf(shape, tile);
  const depth = DEPTH / tile;
  const wanted = isWhole ? 1 : Math.max(Math.floor(Math.min(BUSY / tiles, k / SLICE)), 1);
  const slice = Math.ceil(k / wanted / depth) * depth;
  const slices = Math.ceil(k / slice);
  const parts = slices === 1 ? result : gpu.scratch(slices * m * n);
  const add = () => slices > 1 && sumRows(gpu, parts, slices, m * n, result);
  return {slice, workgroups: tiles * slices, parts, add};
}

const tilesOf = ([m, n]: readonly number[], tile: number) => Math.ceil(m / tile) * Math.ceil(n / tile);

type Tensors = Named<LinearGradInput, TensorInfo>;

/** Fills the parts of y; or, given them, the gradients. What is added once is added to a whole sum. */
function multiply(
  gpu: Gpu,
  {x, kernel, bias, passed}: Tensors,
  parts: TensorInfo[],
  transposeKernel: boolean,
  gradients?: readonly TensorInfo[],
): void {
  const [rows, width] = x!.shape;
  const out = kernel!.shape[transposeKernel ? 0 : 1];
  const [dx, dKernel] = gradients ?? [];
  const tile = tilesOf(dx ? dx.shape : [rows, out], TILE) < MANY ? SMALL : TILE;
  const first = dx
    ? cut(gpu, dx, dx.shape, out, !!passed, tile)
    : cut(gpu, parts[0], [rows, out], width, !!bias || parts.length > 1, tile);
  const second = dx && cut(gpu, dKernel, dKernel.shape, rows, false, tile);
  const ofParts = <T>(of: (part: TensorInfo) => T) =>
    Object.fromEntries(parts.map((part, k) => [partNames[k], of(part)]));
  gpu.run(
    product,
    {transposeKernel, bias: !!bias && !dx, gradients: !!dx, parts: parts.length, passed: !!passed, tile},
    {
      buffers: {
        ...{x, kernel, bias, passed, ...ofParts((part) => part)},
        ...{[dx ? 'dx' : 'dy']: first.parts, dKernel: second?.parts},
      },
      uniforms: {
        ...{rows, width, out, slice: first.slice, first: first.workgroups, kernelSlice: second?.slice ?? 0},
        ...ofParts(({shape}) => shape[1]),
      },
      workgroups: first.workgroups + (second?.workgroups ?? 0),
    },
  );
  first.add();
  second?.add();
}

registerWebGPUKernel('Linear', (gpu, inputs, {present, transposeKernel, sizes, passes}: LinearAttrs & PresentAttr) => {
  const named = byName<LinearInput, TensorInfo>(inputs, present);
  const {x, kernel, bias} = named;
  const [rows] = x!.shape;
  if (rows <= THIN_ROWS && multiplyFew) return [multiplyFew(gpu, named, transposeKernel)];
  const n = kernel!.shape[transposeKernel ? 0 : 1];
  const parts = (sizes && !bias ? sizes : [n]).map((size) => gpu.output([rows, size]));
  multiply(gpu, named, parts, transposeKernel);
  return passes && !bias ? [...parts, gpu.again(x!)] : parts;
});

registerWebGPUKernel('LinearGrad', (gpu, inputs, {present, transposeKernel}: LinearAttrs & PresentAttr) => {
  const named = byName<LinearGradInput, TensorInfo>(inputs, present);
  const {x, kernel, bias, dy} = named;
  const results = [x, kernel, bias].filter((input) => input !== undefined).map(({shape}) => gpu.output(shape));
  const parts = partNames.flatMap((name) => named[name] ?? []);
  multiply(gpu, named, parts, transposeKernel, results);
  if (bias) sumRows(gpu, dy!, ...(dy!.shape as [number, number]), results[2]);
  return results;
});
