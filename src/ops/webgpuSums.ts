/**
 * Sums over the rows of a matrix, for gradients that are sums over batch and time. A fixed tree of levels that each add up to 64
 * rows: deterministic, and more accurate than one long chain.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../backends/webgpu';
import {defineProgram, read, write} from '../backends/webgpuProgram';

const ROWS = 64;

const addRows = defineProgram({
  name: 'sum over rows',
  variants: [{}],
  build: () => ({
    buffers: {x: read, y: write},
    uniforms: {rows: 'u32', columns: 'u32', size: 'u32'},
    main: `
  let column = i % p.columns;
  let first = i / p.columns * ${ROWS}u;
  let end = min(first + ${ROWS}u, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) { sum += x[row * p.columns + column]; }
  y[i] = sum;`,
  }),
});

/** Adds up rows of `x` [rows, columns] into `result` [⌈rows / ROWS⌉, columns]. */
function addSome(gpu: Gpu, x: TensorInfo, rows: number, columns: number, result: TensorInfo): void {
  const size = Math.ceil(rows / ROWS) * columns;
  gpu.run(addRows, {}, {buffers: {x, y: result}, uniforms: {rows, columns, size}});
}

/** What is left of `x` [rows, columns] when there are few rows, which whoever reads them can add up by the way. */
export function fewRows(gpu: Gpu, x: TensorInfo, rows: number, columns: number): {x: TensorInfo; rows: number} {
  if (rows <= ROWS) return {x, rows};
  const blocks = Math.ceil(rows / ROWS);
  const sums = gpu.scratch(blocks * columns);
  addSome(gpu, x, rows, columns, sums);
  return fewRows(gpu, sums, blocks, columns);
}

/** Sums `x` [rows, columns] over its rows into `result` [columns]. */
export function sumRows(gpu: Gpu, x: TensorInfo, rows: number, columns: number, result: TensorInfo): void {
  const few = fewRows(gpu, x, rows, columns);
  addSome(gpu, few.x, few.rows, columns, result);
}
