/** One token through a block as one op of the native library, with matrix-vector products at the speed of the memory. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {StepAttrs} from './kernels';
import {stepInputs} from './kernels';

offerNativeKernels({
  kernelName: 'MambaStep',
  run: (call) => {
    const {epsilon} = call.attrs as StepAttrs;
    return runListOp(call, 'TfjsMambaBlockStep', stepInputs, {floats: {epsilon}}, 3);
  },
});
