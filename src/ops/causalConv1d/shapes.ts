/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: the outputs and the last inputs; the gradients. */
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';
import {convInputs} from './kernels';

export const convShape: KernelShape = {
  kernelName: 'CausalConv1d',
  outputs: (inputs, {present}: PresentAttr) => {
    const {x, weight} = byName(inputs, present) as Record<'x' | 'weight', {shape: readonly number[]}>;
    return [{shape: [...x.shape]}, {shape: [x.shape[0], weight.shape[1] - 1, x.shape[2]]}];
  },
};

export const convGradShape: KernelShape = {kernelName: 'CausalConv1dGrad', outputs: shapesOfInputs(convInputs)};
