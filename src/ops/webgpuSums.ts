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
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let column = i % p.columns;
  let first = i / p.columns * ${ROWS}u;
  let end = min(first + ${ROWS}u, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) { sum += x[row * p.columns + column]; }
  y[i] = sum;`,
  }),
});

/** Sums `x` [rows, columns] over its rows into `result` [columns]. */
export function sumRows(gpu: Gpu, x: TensorInfo, rows: number, columns: number, result: TensorInfo): void {
  let from = x;
  for (let left = rows; ;) {
    const blocks = Math.ceil(left / ROWS);
    const to = blocks === 1 ? result : gpu.scratch(blocks * columns);
    const size = blocks * columns;
    gpu.run(
      addRows,
      {},
      {
        buffers: {x: from, y: to},
        uniforms: {rows: left, columns, size},
        workgroups: Math.ceil(size / 64),
      },
    );
    if (blocks === 1) return;
    from = to;
    left = blocks;
  }
}
