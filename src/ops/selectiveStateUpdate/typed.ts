/** One step over typed arrays, for `cpu` and `wasm`: a single pass over the state. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid, softplus} from '../scalar';
import type {StateUpdateAttrs, StateUpdateInput} from './kernels';
import {stateUpdateShape} from './shapes';

type Operands = Record<'state' | 'u' | 'delta' | 'A' | 'B' | 'C', Operand> & {[K in StateUpdateInput]?: Operand};

function update(
  {state, u, delta, A, B, C, D, z, deltaBias}: Operands,
  [out, next]: Operand[],
  deltaSoftplus: boolean,
): void {
  const [batch, channels, dState] = state.shape;
  const channelsPerGroupB = channels / B.shape[1];
  const channelsPerGroupC = channels / C.shape[1];
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < channels; d++) {
      const at = b * channels + d;
      const atB = (b * B.shape[1] + Math.floor(d / channelsPerGroupB)) * dState;
      const atC = (b * C.shape[1] + Math.floor(d / channelsPerGroupC)) * dState;
      const biased = delta.values[at] + (deltaBias ? deltaBias.values[d] : 0);
      const dt = deltaSoftplus ? softplus(biased) : biased;
      const input = dt * u.values[at];
      let y = D ? D.values[d] * u.values[at] : 0;
      for (let n = 0; n < dState; n++) {
        const k = at * dState + n;
        const h = Math.exp(dt * A.values[d * dState + n]) * state.values[k] + input * B.values[atB + n];
        next.values[k] = h;
        y += C.values[atC + n] * h;
      }
      out.values[at] = z ? y * z.values[at] * sigmoid(z.values[at]) : y;
    }
  }
}

registerTypedArrayKernel({
  ...stateUpdateShape,
  compute: (inputs, outputs, {present, deltaSoftplus}: StateUpdateAttrs & PresentAttr) =>
    update(byName(inputs, present) as Operands, outputs, deltaSoftplus),
});
