/** The kernel of one step of the selective scan: its inputs in order and its attributes. */
import {defineKernel} from '../kernel';

export type StateUpdateInput = 'state' | 'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'z' | 'deltaBias';

export interface StateUpdateAttrs {
  deltaSoftplus: boolean;
}

export const stateUpdateInputs = ['state', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias'] as const;

/** y [B,D] and the new state [B,D,N]; `B`, `C`: [B,G,N]. */
export const runSelectiveStateUpdate = defineKernel<StateUpdateInput, StateUpdateAttrs>({
  kernelName: 'SelectiveStateUpdate',
  order: stateUpdateInputs,
});
