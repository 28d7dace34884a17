/** The causal convolution with SIMD, for `wasm`: custom-ops/wasm/conv.ts. */
import {shared} from '../../backends/wasm/binaries/shared';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ConvAttrs, ConvGradInput} from './kernels';
import {convInputs} from './kernels';

const FLOAT = 4;
const DOUBLE = 8;

type Operands = Record<ConvGradInput, HeapOperand>;

function settings({x, weight}: Operands, activation: ConvAttrs['activation']): number[] {
  return [...x.shape, weight.shape[1], Number(activation === 'silu')];
}

registerSimdKernel(shared, 'CausalConv1d', (simd, inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) => {
  const operands = byName(inputs, present) as Operands;
  const [channels, width] = operands.weight.shape;
  simd.withScratch(width * channels * FLOAT, (scratch) => {
    const order = [...convInputs, 'sequenceIds'] as const;
    const pointers = offsets([...order.map((name) => operands[name]), ...outputs]);
    simd.functions.causalConv1d(...pointers, scratch, ...settings(operands, activation));
  });
});

registerSimdKernel(
  shared,
  'CausalConv1dGrad',
  (simd, inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) => {
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
      simd.functions.causalConv1dGrad(...pointers, wide + doubles, wide, ...settings(operands, activation));
    });
  },
);
