/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: the output and the next state. */
import type {KernelShape} from '../shapes';
import {shapesOfInputs} from '../shapes';

export const convUpdateShape: KernelShape = {kernelName: 'CausalConv1dUpdate', outputs: shapesOfInputs(['x', 'state'])};
