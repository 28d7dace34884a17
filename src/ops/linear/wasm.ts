/**
 * The linear map with SIMD, for `wasm`: custom-ops/wasm/product.ts, in which a transposed operand costs nothing. Without SIMD it is
 * composed, as on every other backend.
 */
import * as tf from '@tensorflow/tfjs';
import {shared} from '../../backends/wasm/binaries/shared';
import type {WasmBackend} from '../../backends/wasm/heap';
import {makeOutputs, operandOf} from '../../backends/wasm/heap';
import type {HeapOperand, Simd} from '../../backends/wasm/simd';
import {simdFor} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName, registerArrayKernel} from '../kernel';
import {linearComposed, linearGradComposed} from './composed';
import type {LinearAttrs, LinearGradInput} from './kernels';

const FLOAT = 4;
const DOUBLE = 8;
/** The block of the second operand and the panel of the first, in floats; see product.ts. */
const BLOCK = 256 * (256 + 4);

/** A matrix in the heap: byte offset, and the distances from row to row and from column to column. */
interface Matrix {
  at: number;
  strides: [row: number, column: number];
}

const matrix = ({at, shape: [, columns]}: HeapOperand): Matrix => ({at, strides: [columns, 1]});

const turned = ({at, strides: [row, column]}: Matrix): Matrix => ({at, strides: [column, row]});

/** c = a·b + bias; `depth` is the number of terms of each sum. */
function multiply(simd: Simd, a: Matrix, b: Matrix, bias: number, c: HeapOperand, depth: number): void {
  const [rows, columns] = c.shape;
  simd.withScratch(BLOCK * FLOAT, (scratch) => {
    simd.functions.product(a.at, ...a.strides, b.at, ...b.strides, bias, c.at, scratch, rows, columns, depth);
  });
}

type Operands = Record<LinearGradInput, HeapOperand>;

function forward(simd: Simd, {x, kernel, bias}: Operands, [y]: HeapOperand[], transposeKernel: boolean): void {
  const weight = matrix(kernel);
  multiply(simd, matrix(x), transposeKernel ? turned(weight) : weight, bias?.at ?? 0, y, x.shape[1]);
}

function backward(
  simd: Simd,
  {x, kernel, dy}: Operands,
  [dx, dKernel, dBias]: HeapOperand[],
  transposeKernel: boolean,
): void {
  const [rows, out] = dy.shape;
  const weight = matrix(kernel);
  multiply(simd, matrix(dy), transposeKernel ? weight : turned(weight), 0, dx, out);
  const [left, right] = transposeKernel ? [dy, x] : [x, dy];
  multiply(simd, turned(matrix(left)), matrix(right), 0, dKernel, rows);
  if (dBias) {
    simd.withScratch((out + 4) * DOUBLE, (wide) => simd.functions.columnSums(dy.at, dBias.at, wide, rows, out));
  }
}

type Compute = typeof forward;

function register(
  kernelName: string,
  compute: Compute,
  composed: (inputs: never, attrs: LinearAttrs) => tf.Tensor[],
  shapes: (inputs: Record<LinearGradInput, tf.TensorInfo>, attrs: LinearAttrs) => number[][],
): void {
  registerArrayKernel(kernelName, 'wasm', ({inputs, backend, attrs}) => {
    const given = attrs as unknown as LinearAttrs & PresentAttr;
    const simd = simdFor((backend as WasmBackend).wasm, shared);
    const named = byName(inputs, given.present);
    if (!simd) return tf.tidy(() => composed(named as never, given));
    const specs = shapes(named as Record<LinearGradInput, tf.TensorInfo>, given).map((shape) => ({shape}));
    const results = makeOutputs(backend as WasmBackend, kernelName, inputs, specs);
    const operand = (info: tf.TensorInfo) => operandOf(backend as WasmBackend, info);
    compute(simd, byName(inputs.map(operand), given.present) as Operands, results.map(operand), given.transposeKernel);
    return results;
  });
}

register('Linear', forward, linearComposed, (named, attrs) => [
  [named.x.shape[0], named.kernel.shape[attrs.transposeKernel ? 0 : 1]],
]);
register('LinearGrad', backward, linearGradComposed, ({x, kernel, bias}) =>
  [x, kernel, bias].filter((input) => input !== undefined).map(({shape}) => shape),
);
