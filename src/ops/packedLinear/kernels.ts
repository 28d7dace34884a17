/** The kernel of a product by packed rows: inputs in order. Its gradient is composed on every backend. */
import {defineKernel} from '../kernel';

export type PackedLinearInput = 'x' | 'words' | 'scales' | 'bias';

export interface PackedLinearAttrs {
  /** See `unpackRows`. */
  perWord: number;
}

/** y [R,out] from x [R,in]; words [out, in / perWord], scales [out, in / 32]. */
export const runPackedLinear = defineKernel<PackedLinearInput, PackedLinearAttrs>({
  kernelName: 'PackedLinear',
  order: ['x', 'words', 'scales', 'bias'],
});
