/** The gradient of the selective scan, for every backend: one call of its fused gradient kernel. */
import {defineGradient} from '../kernel';
import type {ScanAttrs, ScanKernelInput} from './kernels';
import {runSelectiveScanGrad} from './kernels';

defineGradient<ScanKernelInput, ScanAttrs>(
  'SelectiveScan',
  [false, false, true, true],
  ([dy, dFinalState], inputs, [states, coefficients], attrs) =>
    runSelectiveScanGrad({...inputs, states, coefficients, dy, dFinalState}, attrs),
);
