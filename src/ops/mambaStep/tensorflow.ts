/** One token through all blocks as one op of the native library, with matrix-vector products at the speed of the memory. */
import {bitsOf, offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import type {StepAttrs} from './kernels';
import {blockInputs} from './kernels';

offerNativeKernels({
  kernelName: 'MambaStep',
  run: ({inputs, backend, present, attrs}) => {
    const {epsilon, mixerEpsilon = 0} = attrs as StepAttrs;
    const blocks = (inputs.length - 1) / present.length;
    const ints = {NI: inputs.length, blocks, present: bitsOf(blockInputs, present)};
    return runNativeOp(
      backend,
      'TfjsMambaStep',
      inputs,
      {ints, floats: {epsilon, mixer_epsilon: mixerEpsilon}},
      1 + 2 * blocks,
    );
  },
});
