/** The selective scan as an op of the native library. */
import type {NativeCall} from '../../backends/tensorflow';
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import {runComposed} from '../kernel';
import type {ScanAttrs, ScanGradAttrs} from './kernels';
import {scanInputs} from './kernels';

/** The CUDA kernels keep the states of a channel in registers; with more than so many the composed form runs. The CPU's take any number. */
const MOST_STATES_ON_GPU = 64;

function isTooWide({backend, inputs, present}: NativeCall): boolean {
  return backend.isUsingGpuDevice && inputs[present.indexOf('A')].shape[1] > MOST_STATES_ON_GPU;
}

offerNativeKernels(
  {
    kernelName: 'SelectiveScan',
    run: (call) => {
      if (isTooWide(call)) return runComposed('SelectiveScan', call);
      const {deltaSoftplus, keepStates} = call.attrs as ScanAttrs;
      const attrs = {ints: {NS: keepStates ? 1 : 0}, bools: {delta_softplus: deltaSoftplus}};
      return runListOp(call, 'TfjsMambaSelectiveScan', scanInputs, attrs, keepStates ? 3 : 2);
    },
  },
  {
    kernelName: 'SelectiveScanGrad',
    run: (call) => {
      if (isTooWide(call)) return runComposed('SelectiveScanGrad', call);
      const {deltaSoftplus} = call.attrs as ScanGradAttrs;
      const order = [...scanInputs, 'states', 'dy', 'dFinalState'];
      const gradients = scanInputs.filter((name) => call.present.includes(name)).length;
      const attrs = {ints: {NG: gradients}, bools: {delta_softplus: deltaSoftplus}};
      return runListOp(call, 'TfjsMambaSelectiveScanGrad', order, attrs, gradients);
    },
  },
);
