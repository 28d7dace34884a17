/** One step of Mamba-2's scan over typed arrays, for `cpu` and `wasm`: a single pass over the state. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid} from '../scalar';
import type {StepSizeAttrs} from '../ssd/stepSize';
import {stepSize} from '../ssd/stepSize';
import type {SsdStepInput} from './kernels';
import {ssdStepShape} from './shapes';

type Operands = Record<'state' | 'u' | 'delta' | 'A' | 'B' | 'C', Operand> & {[K in SsdStepInput]?: Operand};

function update(
  {state, u, delta, A, B, C, D, z, deltaBias}: Operands,
  [out, next]: Operand[],
  attrs: StepSizeAttrs,
): void {
  const [batch, heads, headDim, dState] = state.shape;
  const groups = B.shape[1];
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const dt = stepSize(delta.values[b * heads + h] + (deltaBias ? deltaBias.values[h] : 0), attrs);
      const decay = Math.exp(dt * A.values[h]);
      const row = (b * groups + Math.floor((h * groups) / heads)) * dState;
      for (let p = 0; p < headDim; p++) {
        const at = (b * heads + h) * headDim + p;
        const ut = u.values[at];
        const input = dt * ut;
        let y = D ? D.values[h * D.shape[1] + (D.shape[1] === 1 ? 0 : p)] * ut : 0;
        for (let n = 0, k = at * dState; n < dState; n++, k++) {
          const value = decay * state.values[k] + input * B.values[row + n];
          next.values[k] = value;
          y += C.values[row + n] * value;
        }
        out.values[at] = z ? y * z.values[at] * sigmoid(z.values[at]) : y;
      }
    }
  }
}

registerTypedArrayKernel({
  ...ssdStepShape,
  compute: (inputs, outputs, attrs: StepSizeAttrs & PresentAttr) =>
    update(byName(inputs, attrs.present) as Operands, outputs, attrs),
});
