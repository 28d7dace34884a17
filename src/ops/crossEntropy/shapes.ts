/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: the loss and each row's log Σ exp; the gradient. */
import type {KernelShape} from '../shapes';

export const crossEntropyShape: KernelShape = {
  kernelName: 'CrossEntropy',
  outputs: ([logits]) => [{shape: []}, {shape: [logits.shape[0]]}],
};
export const crossEntropyGradShape: KernelShape = {
  kernelName: 'CrossEntropyGrad',
  outputs: ([logits]) => [{shape: [...logits.shape]}],
};
