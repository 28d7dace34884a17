/** A linear map as the mathematics reads, in float64: the truth that every kernel is tested against. */
import type {Array64} from '../float64';
import {zeros64} from '../float64';

export interface LinearReferenceInputs {
  /** [R,in] */
  x: Array64;
  /** [in,out], or [out,in] when transposed. */
  kernel: Array64;
  bias?: Array64;
}

/** Calls back for every (row, input, output) with the places in x, kernel and y. */
function forEachProduct(
  {x, kernel}: LinearReferenceInputs,
  transposeKernel: boolean,
  visit: (inX: number, inKernel: number, inY: number) => void,
): void {
  const [rows, width] = x.shape;
  const out = kernel.shape[transposeKernel ? 0 : 1];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      for (let o = 0; o < out; o++) {
        visit(row * width + i, transposeKernel ? o * width + i : i * out + o, row * out + o);
      }
    }
  }
}

/** x·kernel + bias, [R,out]. */
export function linearReference(inputs: LinearReferenceInputs, transposeKernel: boolean): Array64 {
  const {x, kernel, bias} = inputs;
  const out = kernel.shape[transposeKernel ? 0 : 1];
  const y = zeros64([x.shape[0], out]);
  y.values.forEach((_, i) => (y.values[i] = bias ? bias.values[i % out] : 0));
  forEachProduct(inputs, transposeKernel, (inX, inKernel, inY) => {
    y.values[inY] += x.values[inX] * kernel.values[inKernel];
  });
  return y;
}

/** The gradient of Σ y·dy with respect to every input that is present. */
export function linearGradReference(
  inputs: LinearReferenceInputs,
  transposeKernel: boolean,
  dy: Array64,
): {[K in keyof LinearReferenceInputs]: Array64} {
  const {x, kernel, bias} = inputs;
  const dx = zeros64(x.shape);
  const dKernel = zeros64(kernel.shape);
  const dBias = zeros64([dy.shape[1]]);
  forEachProduct(inputs, transposeKernel, (inX, inKernel, inY) => {
    dx.values[inX] += dy.values[inY] * kernel.values[inKernel];
    dKernel.values[inKernel] += dy.values[inY] * x.values[inX];
  });
  dy.values.forEach((g, i) => (dBias.values[i % dy.shape[1]] += g));
  return {x: dx, kernel: dKernel, ...(bias && {bias: dBias})};
}
