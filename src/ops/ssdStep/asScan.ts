/** A step seen as a scan of length 1, so that whatever a backend has for the scan serves the gradient of the step too. */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from '../kernel';
import type {SsdInputs} from '../ssd/kernels';
import type {SsdStepInput} from './kernels';

/** Puts the time axis in: [B,…] → [B,1,…]; the state is the initial state. */
export function asScan(inputs: Named<SsdStepInput, tf.Tensor>): SsdInputs {
  const {state, u, delta, A, B, C, D, z, deltaBias} = inputs as Record<SsdStepInput, tf.Tensor>;
  return {
    u: u.expandDims(1),
    delta: delta.expandDims(1),
    A,
    B: B.expandDims(1),
    C: C.expandDims(1),
    D,
    z: (z as tf.Tensor | undefined)?.expandDims(1),
    deltaBias,
    initialState: state,
  };
}
