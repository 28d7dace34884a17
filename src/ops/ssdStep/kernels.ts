/** The kernel of one step of Mamba-2's scan: its inputs in order and its attributes. */
import {defineKernel} from '../kernel';
import type {StepSizeAttrs} from '../ssd/stepSize';

export type SsdStepInput = 'state' | 'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'z' | 'deltaBias';

export const ssdStepInputs = ['state', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias'] as const;

/**
 * y [B,H,P] and the new state [B,H,P,N]. `state`: [B,H,P,N]; `u`, `z`: [B,H,P]; `delta`: [B,H]; `A`, `deltaBias`: [H]; `B`, `C`:
 * [B,G,N]; `D`: [H,1] or [H,P].
 */
export const runSsdStep = defineKernel<SsdStepInput, StepSizeAttrs>({
  kernelName: 'SSDStep',
  order: ssdStepInputs,
});
