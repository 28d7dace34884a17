/** One step of the selective scan in float64: the scan's reference at length 1. */
import type {Array64} from '../float64';
import type {ScanReferenceInputs} from '../selectiveScan/reference';
import {selectiveScanGradReference, selectiveScanReference} from '../selectiveScan/reference';

/** u, delta, z [B,D]; B, C [B,G,N]; the state in place of the initial state. */
export type StateUpdateReferenceInputs = Omit<ScanReferenceInputs, 'initialState'> & {state: Array64};

const withTime = ({shape: [batch, ...rest], values}: Array64): Array64 => ({shape: [batch, 1, ...rest], values});

function asScan({state, ...inputs}: StateUpdateReferenceInputs): ScanReferenceInputs {
  const {u, delta, B, C, z} = inputs;
  return {
    ...inputs,
    u: withTime(u),
    delta: withTime(delta),
    B: withTime(B),
    C: withTime(C),
    ...(z && {z: withTime(z)}),
    initialState: state,
  };
}

/** y [B,D] and the state after the step [B,D,N]. */
export function selectiveStateUpdateReference(
  inputs: StateUpdateReferenceInputs,
  deltaSoftplus: boolean,
): {y: Array64; state: Array64} {
  const {y, finalState} = selectiveScanReference(asScan(inputs), deltaSoftplus);
  return {y: {shape: inputs.u.shape, values: y.values}, state: finalState};
}

/** The gradient of Σ y·dy + Σ state'·dState with respect to every input that is present. */
export function selectiveStateUpdateGradReference(
  inputs: StateUpdateReferenceInputs,
  deltaSoftplus: boolean,
  dy: Array64,
  dState: Array64,
): {[K in keyof StateUpdateReferenceInputs]: Array64} {
  const {initialState, ...gradients} = selectiveScanGradReference(asScan(inputs), deltaSoftplus, withTime(dy), dState);
  const shaped = Object.entries(gradients).map(([name, gradient]) => [
    name,
    {shape: inputs[name as keyof StateUpdateReferenceInputs]!.shape, values: gradient.values},
  ]);
  return {...Object.fromEntries(shaped), state: initialState};
}
