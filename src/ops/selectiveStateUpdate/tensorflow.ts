/** One step of the selective scan as an op of the native library. */
import type {NativeKernel} from '../../backends/tensorflow';
import {runListOp} from '../../backends/tensorflow';
import type {StateUpdateAttrs} from './kernels';
import {stateUpdateInputs} from './kernels';

export const selectiveStateUpdateNative: NativeKernel[] = [
  {
    kernelName: 'SelectiveStateUpdate',
    run: (call) => {
      const {deltaSoftplus} = call.attrs as StateUpdateAttrs;
      const attrs = {bools: {delta_softplus: deltaSoftplus}};
      return runListOp(call, 'TfjsMambaSelectiveStateUpdate', stateUpdateInputs, attrs, 2);
    },
  },
];
