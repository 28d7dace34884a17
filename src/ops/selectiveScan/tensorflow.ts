/** The selective scan as an op of the native library. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {ScanAttrs, ScanGradAttrs} from './kernels';
import {scanInputs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'SelectiveScan',
    run: (call) => {
      const {deltaSoftplus, keepStates} = call.attrs as ScanAttrs;
      const attrs = {ints: {NS: keepStates ? 1 : 0}, bools: {delta_softplus: deltaSoftplus}};
      return runListOp(call, 'TfjsMambaSelectiveScan', scanInputs, attrs, keepStates ? 3 : 2);
    },
  },
  {
    kernelName: 'SelectiveScanGrad',
    run: (call) => {
      const {deltaSoftplus} = call.attrs as ScanGradAttrs;
      const order = [...scanInputs, 'states', 'dy', 'dFinalState'];
      const gradients = call.inputs.length - 3;
      const attrs = {ints: {NG: gradients}, bools: {delta_softplus: deltaSoftplus}};
      return runListOp(call, 'TfjsMambaSelectiveScanGrad', order, attrs, gradients);
    },
  },
);
