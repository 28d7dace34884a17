/** What the kernels of `cpu` and `wasm` give, which make their results before they compute: new variables and both moments of each; the norm. */
import type {KernelShape} from '../shapes';
import type {AdamWAttrs} from './kernels';

export const adamWShape: KernelShape = {
  kernelName: 'AdamW',
  outputs: (inputs, {weightDecay}: AdamWAttrs) => {
    const params = inputs.slice(0, weightDecay.length);
    return [...params, ...params, ...params].map(({shape}) => ({shape: [...shape]}));
  },
};
export const globalNormShape: KernelShape = {kernelName: 'GlobalNorm', outputs: () => [{shape: []}]};
