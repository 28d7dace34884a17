/** The gradient of one step, for every backend: that of the scan at length 1. */
import type * as tf from '@tensorflow/tfjs';
import {defineGradient} from '../kernel';
import {runSsd, runSsdGrad, ssdInputs} from '../ssd/kernels';
import type {StepSizeAttrs} from '../ssd/stepSize';
import {asScan} from './asScan';
import type {SsdStepInput} from './kernels';
import {ssdStepInputs} from './kernels';

defineGradient<SsdStepInput, StepSizeAttrs>(
  'SSDStep',
  [false, false],
  ([dy, dState], inputs, _outputs, {deltaSoftplus, deltaMin, deltaMax}) => {
    const scan = asScan(inputs);
    const attrs = {deltaSoftplus, deltaMin, deltaMax};
    const states = runSsd(scan, {...attrs, keepStates: true})[2];
    const gradients = runSsdGrad({...scan, states, dy: dy.expandDims(1), dFinalState: dState}, attrs);
    const present = ssdInputs.filter((name) => scan[name] !== undefined);
    const byInput = Object.fromEntries(present.map((name, i) => [name, gradients[i]]));
    return ssdStepInputs
      .filter((name) => inputs[name] !== undefined)
      .map((name): tf.Tensor => {
        return name === 'state' ? byInput.initialState : byInput[name].reshape(inputs[name]!.shape);
      });
  },
);
