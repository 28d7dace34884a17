/** Sums over many rows, as a tree of a fixed form: parallel, the same in every run, and with errors that hardly grow with the rows. */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Kernel, Pass} from './webgl';

const columnPass: Pass = {
  name: 'sum over rows',
  inputs: ['a'],
  optional: ['b'],
  outputs: 1,
  ints: ['rows', 'columns', 'terms'],
  main: `
  int column = index % columns;
  int first = (index / columns) * terms;
  int last = min(first + terms, rows);
  float sum = 0.;
  for (int row = first; row < last; row++) {
    float value = get_a(row * columns + column);
#if HAS_b
    value *= get_b(row * columns + column);
#endif
    sum += value;
  }
  out_0 = sum;`,
};

/** Σ over the rows of a, or of a·b, both [rows, columns], written to `output` [columns]. */
export function columnSums(
  kernel: Kernel,
  {a, b, rows, columns, output}: {a: TensorInfo; b?: TensorInfo; rows: number; columns: number; output: TensorInfo},
): void {
  const terms = Math.min(rows, TERMS);
  const partial = Math.ceil(rows / terms);
  const result = partial === 1 ? output : kernel.temporary([partial * columns]);
  const sizes = {rows, columns, terms};
  kernel.draw(columnPass, {inputs: {a, b}, ints: sizes, count: partial * columns, outputs: [result]});
  if (partial > 1) {
    columnSums(kernel, {a: result, rows: partial, columns, output});
  }
}

const texelPass: Pass = {
  name: 'sum over rows of texels',
  inputs: ['a4'],
  outputs: 1,
  texels: true,
  ints: ['rows', 'columns', 'terms'],
  main: `
  int first = (index / columns) * terms;
  int last = min(first + terms, rows);
  vec4 sum = vec4(0.);
  for (int row = first; row < last; row++) sum += get_a4(row * columns + index % columns);
  out_0 = sum;`,
};

/** The same for texels: [rows, columns] texels become [columns]. */
export function texelSums(kernel: Kernel, a4: TensorInfo, rows: number, columns: number): TensorInfo {
  if (rows === 1) return a4;
  const terms = Math.min(rows, TERMS);
  const partial = Math.ceil(rows / terms);
  const result = kernel.texels(partial * columns);
  const sizes = {rows, columns, terms};
  kernel.draw(texelPass, {inputs: {a4}, ints: sizes, count: partial * columns, outputs: [result]});
  return texelSums(kernel, result, partial, columns);
}

/** The terms of one sum of the tree. */
export const TERMS = 32;
