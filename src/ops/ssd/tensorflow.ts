/** Mamba-2's scan as an op of the native library. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {SsdAttrs, SsdGradAttrs} from './kernels';
import {ssdInputs} from './kernels';
import {nativeStepSize} from './stepSize';

offerNativeKernels(
  {
    kernelName: 'SSD',
    run: (call) => {
      const {keepStates, ...step} = call.attrs as SsdAttrs;
      const {bools, floats} = nativeStepSize(step);
      const attrs = {ints: {NS: keepStates ? 1 : 0}, bools, floats};
      return runListOp(call, 'TfjsMambaSsd', ssdInputs, attrs, keepStates ? 3 : 2);
    },
  },
  {
    kernelName: 'SSDGrad',
    run: (call) => {
      const gradients = call.inputs.length - 3;
      const attrs = {ints: {NG: gradients}, ...nativeStepSize(call.attrs as SsdGradAttrs)};
      const order = [...ssdInputs, 'states', 'dy', 'dFinalState'];
      return runListOp(call, 'TfjsMambaSsdGrad', order, attrs, gradients);
    },
  },
);
