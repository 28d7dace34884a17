/** The gradient of one step, for every backend: that of the scan at length 1. */
import type * as tf from '@tensorflow/tfjs';
import {defineGradient} from '../kernel';
import {runSelectiveScan, runSelectiveScanGrad, scanInputs} from '../selectiveScan/kernels';
import {asScan} from './asScan';
import type {StateUpdateAttrs, StateUpdateInput} from './kernels';
import {stateUpdateInputs} from './kernels';

defineGradient<StateUpdateInput, StateUpdateAttrs>(
  'SelectiveStateUpdate',
  [false, false],
  ([dy, dState], inputs, _outputs, {deltaSoftplus}) => {
    const scan = asScan(inputs);
    const [, , states, coefficients] = runSelectiveScan(scan, {deltaSoftplus, keepStates: true});
    const gradients = runSelectiveScanGrad(
      {...scan, states, coefficients, dy: dy.expandDims(1), dFinalState: dState},
      {deltaSoftplus},
    );
    const present = scanInputs.filter((name) => scan[name] !== undefined);
    const byInput = Object.fromEntries(present.map((name, i) => [name, gradients[i]]));
    return stateUpdateInputs
      .filter((name) => inputs[name] !== undefined)
      .map((name): tf.Tensor => {
        return name === 'state' ? byInput.initialState : byInput[name].reshape(inputs[name]!.shape);
      });
  },
);
