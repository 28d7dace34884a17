/** Mamba-2's scan with SIMD, for `wasm`: custom-ops/wasm/ssd.ts and ssdGrad.ts. It keeps as many states as the typed-array kernel. */
import {mamba2} from '../../backends/wasm/binaries/mamba2';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {SsdAttrs, SsdGradAttrs, SsdGradInput, SsdInput} from './kernels';
import {ssdInputs} from './kernels';
import {wasmStepSize} from './stepSize';
import {ssdShape, ssdGradShape} from './shapes';

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', HeapOperand> & {[K in SsdGradInput]?: HeapOperand};

/** Sizes, the last arguments of both functions but for the step size's. */
function sizes({u, B, D}: Operands): number[] {
  const [, , groups, dState] = B.shape;
  return [...u.shape, groups, dState, D ? D.shape[1] : 1];
}

registerSimdKernel(mamba2, ssdShape, (simd, inputs, [y, finalState, states], attrs: SsdAttrs & PresentAttr) => {
  const operands = byName(inputs, attrs.present) as Operands;
  const [, , heads, headDim, , dState] = sizes(operands);
  simd.withScratch(simd.functions.ssdBytes(heads, headDim, dState), (scratch) => {
    const pointers = offsets([...ssdInputs.map((name) => operands[name]), y, finalState, states]);
    simd.functions.ssd(...pointers, scratch, ...sizes(operands), ...wasmStepSize(attrs));
  });
});

registerSimdKernel(mamba2, ssdGradShape, (simd, inputs, outputs, attrs: SsdGradAttrs & PresentAttr) => {
  const operands = byName(inputs, attrs.present) as Operands;
  const gradients: {[K in SsdInput]?: HeapOperand} = byName(
    outputs,
    ssdInputs.filter((name) => operands[name]),
  );
  const [, , heads, headDim, , dState] = sizes(operands);
  // The initial state itself is not needed: the first kept state is it.
  const order = [...ssdInputs.filter((name) => name !== 'initialState'), 'states', 'dy', 'dFinalState'] as const;
  simd.withScratch(simd.functions.ssdGradBytes(heads, headDim, dState), (scratch) => {
    const pointers = offsets([...order.map((name) => operands[name]), ...ssdInputs.map((name) => gradients[name])]);
    simd.functions.ssdGrad(...pointers, scratch, ...sizes(operands), ...wasmStepSize(attrs));
  });
});
