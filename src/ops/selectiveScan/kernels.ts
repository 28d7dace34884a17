/**
 * The two kernels of the selective scan: what goes in, in which order, and with which attributes. Every backend's file in this
 * folder implements these.
 */
import type * as tf from '@tensorflow/tfjs';
import {defineKernel} from '../kernel';
import type {Named} from '../kernel';

export type ScanInput = 'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'z' | 'deltaBias' | 'initialState';
/** `sequenceIds`, int32 [B,L]: the state starts anew wherever the id changes. They have no gradient. */
export type ScanKernelInput = ScanInput | 'sequenceIds';
export type ScanGradInput = ScanKernelInput | 'states' | 'coefficients' | 'dy' | 'dFinalState';

/** `B`, `C`: [B,L,G,N], or [D,N] when constant. */
export type ScanInputs = Record<'u' | 'delta' | 'A' | 'B' | 'C', tf.Tensor> &
  Named<'D' | 'z' | 'deltaBias' | 'initialState' | 'sequenceIds', tf.Tensor>;

export interface ScanAttrs {
  deltaSoftplus: boolean;
  /**
   * Whether a third output holds the states the backward starts its chunks from, and a fourth what else it may need of the forward: their
   * layouts are the backend's own affair.
   */
  keepStates: boolean;
  /** Whether `A` is the logarithm of -A, and its gradient that of this; only a backend that has asked for it is given that. */
  logA?: boolean;
}

export type ScanGradAttrs = Pick<ScanAttrs, 'deltaSoftplus' | 'logA'>;

/** The inputs that have a gradient. */
export const scanInputs = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState'] as const;

/** y, finalState and, if asked for, states, and coefficients where a backend has them. */
export const runSelectiveScan = defineKernel<ScanKernelInput, ScanAttrs>({
  kernelName: 'SelectiveScan',
  order: [...scanInputs, 'sequenceIds'],
});

/** The gradients of the inputs that are present, in the order of `scanInputs`. */
export const runSelectiveScanGrad = defineKernel<ScanGradInput, ScanGradAttrs>({
  kernelName: 'SelectiveScanGrad',
  order: [...scanInputs, 'states', 'coefficients', 'dy', 'dFinalState', 'sequenceIds'],
});
