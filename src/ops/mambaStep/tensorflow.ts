/** One token through all blocks as one op of the native library, with matrix-vector products at the speed of the memory. */
import {chainAttrs, offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {OpAttrs} from '../../backends/tensorflow';
import type {ChainAttrs} from '../chain';
import type {StepAttrs} from './kernels';
import {blockInputs} from './kernels';

offerNativeKernels({
  kernelName: 'MambaStep',
  run: ({inputs, backend, attrs}) => {
    const {ints, blocks} = chainAttrs(inputs.length - 1, blockInputs, attrs as ChainAttrs);
    const all = {...nativeStepAttrs(attrs as StepAttrs), ints: {...ints, NI: ints.NI + 1}};
    return runNativeOp(backend, 'TfjsMambaStep', inputs, all, 1 + 2 * blocks);
  },
});

/** The attributes of the library's op that say what all blocks have in common. */
export function nativeStepAttrs({epsilon, mixerEpsilon = 0}: StepAttrs): OpAttrs {
  return {floats: {epsilon, mixer_epsilon: mixerEpsilon}};
}
