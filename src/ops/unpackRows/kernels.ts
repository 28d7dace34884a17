/** The two kernels that unpack rows, all or some: inputs in order. */
import {defineKernel} from '../kernel';

export type UnpackRowsInput = 'words' | 'scales';

/** Values in a group, which has one scale. */
export const GROUP = 32;

/** Values [..., width] of words [..., width / perWord], whose attribute that is, and scales [..., width / 32]. */
export interface UnpackRowsAttrs {
  perWord: number;
}

/** All rows. */
export const runUnpackRows = defineKernel<UnpackRowsInput, UnpackRowsAttrs>({
  kernelName: 'UnpackRows',
  order: ['words', 'scales'],
});

/** The rows of a table that int32 ids name, zeros for an id that is none: [...ids.shape, width]. */
export const runLookUpRows = defineKernel<UnpackRowsInput | 'ids', UnpackRowsAttrs>({
  kernelName: 'LookUpRows',
  order: ['words', 'scales', 'ids'],
});
