/**
 * The two kernels of Mamba-2's scan: what goes in, in which order, and with which attributes. Every backend's file in this folder
 * implements these.
 */
import type * as tf from '@tensorflow/tfjs';
import {defineKernel} from '../kernel';
import type {Named} from '../kernel';
import type {StepSizeAttrs} from './stepSize';

export type SsdInput = 'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'z' | 'deltaBias' | 'initialState';
export type SsdGradInput = SsdInput | 'states' | 'dy' | 'dFinalState';

/** `u`, `z`: [B,L,H,P]; `delta`: [B,L,H]; `A`, `deltaBias`: [H]; `B`, `C`: [B,L,G,N]; `D`: [H,1] or [H,P]; `initialState`: [B,H,P,N]. */
export type SsdInputs = Record<'u' | 'delta' | 'A' | 'B' | 'C', tf.Tensor> &
  Named<'D' | 'z' | 'deltaBias' | 'initialState', tf.Tensor>;

export interface SsdAttrs extends StepSizeAttrs {
  /** Whether a third output holds the states the backward starts its chunks from; its layout is the backend's own affair. */
  keepStates: boolean;
}

export type SsdGradAttrs = StepSizeAttrs;

export const ssdInputs = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState'] as const;

/** y [B,L,H,P], finalState [B,H,P,N] and, if asked for, states. */
export const runSsd = defineKernel<SsdInput, SsdAttrs>({
  kernelName: 'SSD',
  order: ssdInputs,
});

/** The gradients of the inputs that are present, each in its input's shape, in the order of `ssdInputs`. */
export const runSsdGrad = defineKernel<SsdGradInput, SsdGradAttrs>({
  kernelName: 'SSDGrad',
  order: [...ssdInputs, 'states', 'dy', 'dFinalState'],
});
