/** One token through all blocks as one op of the native library. There is none for a GPU. */
import {bitsOf, offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {Mamba2StepAttrs} from './kernels';
import {mamba2BlockInputs} from './kernels';

offerNativeKernels({
  kernelName: 'Mamba2Step',
  run: ({inputs, backend, present, attrs}) => {
    const {epsilon, normGroups, normBeforeGate, deltaMin, deltaMax} = attrs as Mamba2StepAttrs;
    const blocks = (inputs.length - 1) / present.length;
    const ints = {NI: inputs.length, blocks, present: bitsOf(mamba2BlockInputs, present), norm_groups: normGroups};
    const floats = {epsilon, delta_min: deltaMin, delta_max: deltaMax};
    const bools = {norm_before_gate: normBeforeGate};
    return runNativeOp(backend, 'TfjsMambaMamba2Step', inputs, {ints, floats, bools}, 1 + 2 * blocks);
  },
});
