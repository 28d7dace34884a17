/** One token through all blocks as one op of the native library. There is none for a GPU. */
import {chainAttrs, offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {OpAttrs} from '../../backends/tensorflow';
import type {ChainAttrs} from '../chain';
import type {Mamba2StepAttrs} from './kernels';
import {mamba2BlockInputs} from './kernels';

offerNativeKernels({
  kernelName: 'Mamba2Step',
  run: ({inputs, backend, attrs}) => {
    const {ints, blocks} = chainAttrs(inputs.length - 1, mamba2BlockInputs, attrs as ChainAttrs);
    const own = nativeMamba2StepAttrs(attrs as Mamba2StepAttrs);
    const all = {...own, ints: {...own.ints, ...ints, NI: ints.NI + 1}};
    return runNativeOp(backend, 'TfjsMambaMamba2Step', inputs, all, 1 + 2 * blocks);
  },
});

/** The attributes of the library's op that say what all blocks have in common. */
export function nativeMamba2StepAttrs(attrs: Mamba2StepAttrs): OpAttrs {
  const {epsilon, normGroups, normBeforeGate, deltaMin, deltaMax} = attrs;
  return {
    ints: {norm_groups: normGroups},
    floats: {epsilon, delta_min: deltaMin, delta_max: deltaMax},
    bools: {norm_before_gate: normBeforeGate},
  };
}
