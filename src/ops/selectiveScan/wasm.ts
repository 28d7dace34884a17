/** The selective scan with SIMD, for `wasm`: custom-ops/wasm/scan.ts and scanGrad.ts. States are kept as the typed-array kernel keeps them. */
import {mamba} from '../../backends/wasm/binaries/mamba';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ScanAttrs, ScanGradAttrs, ScanGradInput, ScanInput} from './kernels';
import {scanInputs} from './kernels';
import {CHUNK, scanGradShape, scanShape} from './shapes';

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', HeapOperand> & {[K in ScanGradInput]?: HeapOperand};

const VECTOR = 16;
const DOUBLE = 8;

/** Sizes and flags, the last arguments of both functions. */
function settings({u, A, B, C}: Operands, deltaSoftplus: boolean): number[] {
  const [batch, length, channels] = u.shape;
  const groups = ({shape}: HeapOperand) => (shape.length === 2 ? [channels, 1] : [shape[2], 0]);
  return [batch, length, channels, A.shape[1], ...groups(B), ...groups(C), Number(deltaSoftplus), CHUNK];
}

registerSimdKernel(mamba, scanShape, (simd, inputs, outputs, {present, deltaSoftplus}: ScanAttrs & PresentAttr) => {
  const operands = byName(inputs, present) as Operands;
  const [y, finalState, states] = outputs;
  const {A} = operands;
  const order = [...scanInputs, 'sequenceIds'] as const;
  simd.withScratch(2 * A.shape[0] * A.shape[1] * VECTOR, (scratch) => {
    const pointers = offsets([...order.map((name) => operands[name]), y, finalState, states]);
    simd.functions.selectiveScan(...pointers, scratch, ...settings(operands, deltaSoftplus));
  });
});

registerSimdKernel(
  mamba,
  scanGradShape,
  (simd, inputs, outputs, {present, deltaSoftplus}: ScanGradAttrs & PresentAttr) => {
    const operands = byName(inputs, present) as Operands;
    const gradients: {[K in ScanInput]?: HeapOperand} = byName(
      outputs,
      scanInputs.filter((name) => operands[name]),
    );
    const [channels, dState] = operands.A.shape;
    const vectors = 2 * channels * dState + (5 * CHUNK + 2) * dState + CHUNK;
    const doubles = 3 * channels * dState + 2 * channels;
    // The initial state itself is not needed: the first kept state is it.
    const given = scanInputs.filter((name) => name !== 'initialState');
    const order = [...given, 'sequenceIds', 'states', 'dy', 'dFinalState'] as const;
    const [batch, length] = operands.u.shape;
    simd.withScratch(vectors * VECTOR + doubles * DOUBLE + batch * length, (scratch) => {
      const pointers = offsets([...order.map((name) => operands[name]), ...scanInputs.map((name) => gradients[name])]);
      simd.functions.selectiveScanGrad(...pointers, scratch, ...settings(operands, deltaSoftplus));
    });
  },
);
