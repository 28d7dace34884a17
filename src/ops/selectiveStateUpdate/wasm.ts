/** One step of the selective scan with SIMD, for `wasm`: custom-ops/wasm/stateUpdate.ts. */
import {mamba} from '../../backends/wasm/binaries/mamba';
import type {HeapOperand} from '../../backends/wasm/simd';
import {offsets, registerSimdKernel} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {StateUpdateAttrs, StateUpdateInput} from './kernels';
import {stateUpdateInputs} from './kernels';
import {stateUpdateShape} from './shapes';

/** Three vectors. */
const SCRATCH_BYTES = 48;

registerSimdKernel(mamba, stateUpdateShape, (simd, inputs, outputs, attrs: StateUpdateAttrs & PresentAttr) => {
  const operands = byName<StateUpdateInput, HeapOperand>(inputs, attrs.present);
  const {state, B, C} = operands as Record<StateUpdateInput, HeapOperand>;
  simd.withScratch(SCRATCH_BYTES, (scratch) => {
    const pointers = offsets([...stateUpdateInputs.map((name) => operands[name]), ...outputs]);
    const settings = [...state.shape, B.shape[1], C.shape[1], Number(attrs.deltaSoftplus)];
    simd.functions.selectiveStateUpdate(...pointers, scratch, ...settings);
  });
});
