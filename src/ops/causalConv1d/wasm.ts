/** The causal convolution with SIMD, for `wasm`: custom-ops/wasm/conv.ts. */
import {shared} from '../../backends/wasm/binaries/shared';
import type {HeapOperand, Simd} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ConvAttrs, ConvGradInput} from './kernels';
import {convInputs} from './kernels';
import {convShape, convGradShape} from './shapes';

const FLOAT = 4;
const DOUBLE = 8;

type Operands = Record<ConvGradInput, HeapOperand>;

function settings(shape: readonly number[], width: number, activation: ConvAttrs['activation']): number[] {
  return [...shape, width, Number(activation === 'silu')];
}

/** @param shape of x, [batch, length, channels]. */
export function convolve(
  simd: Simd,
  operands: Partial<Operands> & Pick<Operands, 'x' | 'weight'>,
  outputs: HeapOperand[],
  shape: readonly number[],
  activation: ConvAttrs['activation'],
): void {
  const [channels, width] = operands.weight.shape;
  simd.withScratch(width * channels * FLOAT, (scratch) => {
    const order = [...convInputs, 'sequenceIds'] as const;
    const pointers = offsets([...order.map((name) => operands[name]), ...outputs]);
    simd.functions.causalConv1d(...pointers, scratch, ...settings(shape, width, activation));
  });
}

registerSimdKernel(shared, convShape, (simd, inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const operands = byName(inputs, present) as Operands;
  convolve(simd, operands, outputs, operands.x.shape, activation);
});

registerSimdKernel(shared, convGradShape, (simd, inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const operands = byName(inputs, present) as Operands;
  const gradients = byName(
    outputs,
    convInputs.filter((name) => operands[name]),
  ) as Operands;
  const [channels, width] = operands.weight.shape;
  const doubles = (width + 1) * (channels + 4) * DOUBLE;
  const floats = (3 * width + 1) * channels * FLOAT;
  simd.withScratch(doubles + floats, (wide) => {
    const order = [...convInputs, 'sequenceIds', 'dy', 'dFinalState'] as const;
    const pointers = offsets([...order.map((name) => operands[name]), ...convInputs.map((name) => gradients[name])]);
    simd.functions.causalConv1dGrad(
      ...pointers,
      wide + doubles,
      wide,
      ...settings(operands.x.shape, width, activation),
    );
  });
});
