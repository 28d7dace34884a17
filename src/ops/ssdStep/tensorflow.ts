/** One step of Mamba-2's scan as an op of the native library, which knows the state as the scan's initial state. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {StepSizeAttrs} from '../ssd/stepSize';
import {nativeStepSize} from '../ssd/stepSize';
import {ssdStepInputs} from './kernels';

const order = [...ssdStepInputs.filter((name) => name !== 'state'), 'state'];

offerNativeKernels({
  kernelName: 'SSDStep',
  run: (call) => runListOp(call, 'TfjsMambaSsdStep', order, nativeStepSize(call.attrs as StepSizeAttrs), 2),
});
