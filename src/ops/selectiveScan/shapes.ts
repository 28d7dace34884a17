/**
 * What the kernels of `cpu` and `wasm` give, which make their results before they compute: the outputs, the final state and the kept
 * states; the gradients.
 */
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';
import type {ScanAttrs} from './kernels';
import {scanInputs} from './kernels';

/** Steps between kept states: the kept states are then N/64 of the size of u, and a channel's chunk fits the cache. */
export const CHUNK = 64;

export const scanShape: KernelShape = {
  kernelName: 'SelectiveScan',
  outputs: (inputs, {present, keepStates}: ScanAttrs & PresentAttr) => {
    const {u, A} = byName(inputs, present) as Record<'u' | 'A', {shape: readonly number[]}>;
    const [batch, length, channels] = u.shape;
    const dState = A.shape[1];
    const outputs = [{shape: [batch, length, channels]}, {shape: [batch, channels, dState]}];
    return keepStates ? [...outputs, {shape: [batch, Math.ceil(length / CHUNK), channels, dState]}] : outputs;
  },
};

export const scanGradShape: KernelShape = {kernelName: 'SelectiveScanGrad', outputs: shapesOfInputs(scanInputs)};
