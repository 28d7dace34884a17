/** One step of Mamba-2's scan with SIMD, for `wasm`: custom-ops/wasm/ssdStep.ts. */
import {mamba2} from '../../backends/wasm/binaries/mamba2';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {StepSizeAttrs} from '../ssd/stepSize';
import {wasmStepSize} from '../ssd/stepSize';
import type {SsdStepInput} from './kernels';
import {ssdStepInputs} from './kernels';
import {ssdStepShape} from './shapes';

registerSimdKernel(mamba2, ssdStepShape, (simd, inputs, outputs, attrs: StepSizeAttrs & PresentAttr) => {
  const operands = byName<SsdStepInput, HeapOperand>(inputs, attrs.present);
  const {state, B, D} = operands as Record<'state' | 'B', HeapOperand> & {D?: HeapOperand};
  const [batch, heads, headDim, dState] = state.shape;
  const sizes = [batch, heads, headDim, B.shape[1], dState, D ? D.shape[1] : 1];
  const pointers = offsets([...ssdStepInputs.map((name) => operands[name]), ...outputs]);
  simd.functions.ssdStep(...pointers, ...sizes, ...wasmStepSize(attrs));
});
