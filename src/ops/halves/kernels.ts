/** The kernels of rows of bfloat16: inputs in order. */
import {defineKernel} from '../kernel';

export type HalfLinearInput = 'x' | 'words' | 'bias';

/** Values [..., width] of words [..., width / 2]. */
export const runUnpackHalves = defineKernel<'words', object>({kernelName: 'UnpackHalves', order: ['words']});

/** y [R,out] from x [R,width]; words [out, width / 2]. */
export const runHalfLinear = defineKernel<HalfLinearInput, object>({
  kernelName: 'HalfLinear',
  order: ['x', 'words', 'bias'],
});
