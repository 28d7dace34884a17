/** One step of the selective scan as an op of the native library. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {StateUpdateAttrs} from './kernels';
import {stateUpdateInputs} from './kernels';

offerNativeKernels({
  kernelName: 'SelectiveStateUpdate',
  run: (call) => {
    const {deltaSoftplus} = call.attrs as StateUpdateAttrs;
    const attrs = {bools: {delta_softplus: deltaSoftplus}};
    return runListOp(call, 'TfjsMambaSelectiveStateUpdate', stateUpdateInputs, attrs, 2);
  },
});
