/** One step of Mamba-2's scan in float64: the scan's reference at length 1. */
import type {Array64} from '../float64';
import type {SsdReferenceInputs} from '../ssd/reference';
import {ssdGradReference, ssdReference} from '../ssd/reference';
import type {StepSizeAttrs} from '../ssd/stepSize';

/** u, z [B,H,P]; delta [B,H]; B, C [B,G,N]; the state in place of the initial state. */
export type SsdStepReferenceInputs = Omit<SsdReferenceInputs, 'initialState'> & {state: Array64};

const withTime = ({shape: [batch, ...rest], values}: Array64): Array64 => ({shape: [batch, 1, ...rest], values});

function asScan({state, ...inputs}: SsdStepReferenceInputs): SsdReferenceInputs {
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

/** y [B,H,P] and the state after the step [B,H,P,N]. */
export function ssdStepReference(inputs: SsdStepReferenceInputs, attrs: StepSizeAttrs): {y: Array64; state: Array64} {
  const {y, finalState} = ssdReference(asScan(inputs), attrs);
  return {y: {shape: inputs.u.shape, values: y.values}, state: finalState};
}

/** The gradient of Σ y·dy + Σ state'·dState with respect to every input that is present. */
export function ssdStepGradReference(
  inputs: SsdStepReferenceInputs,
  attrs: StepSizeAttrs,
  dy: Array64,
  dState: Array64,
): {[K in keyof SsdStepReferenceInputs]: Array64} {
  const {initialState, ...gradients} = ssdGradReference(asScan(inputs), attrs, withTime(dy), dState);
  const shaped = Object.entries(gradients).map(([name, gradient]) => [
    name,
    {shape: inputs[name as keyof SsdStepReferenceInputs]!.shape, values: gradient.values},
  ]);
  return {...Object.fromEntries(shaped), state: initialState};
}
