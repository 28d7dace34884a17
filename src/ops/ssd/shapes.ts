/**
 * What the kernels of `cpu` and `wasm` give, which make their results before they compute: the outputs, the final state and the kept
 * states; the gradients.
 */
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';
import type {SsdAttrs} from './kernels';
import {ssdInputs} from './kernels';

/** Steps between kept states. */
export const CHUNK = 64;

export function sizesOf({u, B}: Record<'u' | 'B', {shape: readonly number[]}>) {
  const [batch, length, heads, headDim] = u.shape;
  const [, , groups, dState] = B.shape;
  return {batch, length, heads, headDim, groups, dState, chunks: Math.ceil(length / CHUNK)};
}

export const ssdShape: KernelShape = {
  kernelName: 'SSD',
  outputs: (inputs, {present, keepStates}: SsdAttrs & PresentAttr) => {
    const {u, B} = byName(inputs, present) as Record<'u' | 'B', {shape: number[]}>;
    const {batch, heads, headDim, dState, chunks} = sizesOf({u, B});
    const outputs = [{shape: [...u.shape]}, {shape: [batch, heads, headDim, dState]}];
    return keepStates ? [...outputs, {shape: [batch, chunks, heads, headDim, dState]}] : outputs;
  },
};

export const ssdGradShape: KernelShape = {kernelName: 'SSDGrad', outputs: shapesOfInputs(ssdInputs)};
