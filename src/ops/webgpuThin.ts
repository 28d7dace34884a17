/**
 * What the products for the few rows of decoding share on WebGPU: `x` [m,k] by a matrix with n outputs, whose numbers are read once for all
 * rows of x.
 */
import {combinations} from '../backends/webgpuProgram';
import {forRows} from './wgsl';

/** Up to this many rows of x are few. */
export const THIN_ROWS = 8;

/** Whether there is a bias, and how many rows of x a program has room for. */
export type Thin = {bias: boolean; rows: number};
export const thinVariants = () => combinations<Thin>({bias: [false, true], rows: [1, 2, 4, THIN_ROWS]});
export const thinUniforms = {m: 'u32', n: 'u32', k: 'u32'} as const;

/** Where row r begins; one that is not there is the last again. */
const rowAt = (r: number) => (r === 0 ? '0u' : `min(${r}u, p.m - 1u) * p.k`);

/** Begins a sum, and tells where its row is, for each row. */
export const beginSums = (rows: number) => forRows(rows, (r) => `let row${r} = ${rowAt(r)}; var sum${r} = 0.0;`);

/** Where the parts of sums meet. */
export const partsOfSums = (rows: number, invocations: number) =>
  `var<workgroup> parts: array<f32, ${invocations * rows}>;`;

/** Puts an invocation's parts there, and waits for those of the others. */
export const putParts = (rows: number, invocations: number) => `
  ${forRows(rows, (r) => `parts[${invocations * r}u + lane] = sum${r};`)}
  workgroupBarrier();`;

/**
 * The program of 64 invocations, 16 to an output, which read the output's row of the matrix side by side.
 *
 * @param loop Adds the invocation's share, of number `lane % 16u`, to the sums of output `column`.
 */
export const sixteenToAnOutput = ({bias, rows}: Thin, loop: string) => `
  let column = group * 4u + lane / 16u;
  ${beginSums(rows)}
  if (column < p.n) {${loop}
  }
  ${putParts(rows, 64)}
  let row = lane % 16u;
  if (row < p.m && column < p.n) {
    let first = 64u * row + lane - row;
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) { total += parts[first + i]; }
    y[row * p.n + column] = total${bias ? ' + bias[column]' : ''};
  }`;
