/** The gradient of Mamba-2's scan, for every backend: one call of its fused gradient kernel. */
import {defineGradient} from '../kernel';
import type {SsdAttrs, SsdInput} from './kernels';
import {runSsdGrad} from './kernels';

defineGradient<SsdInput, SsdAttrs>(
  'SSD',
  [false, false, true],
  ([dy, dFinalState], inputs, [states], {deltaSoftplus, deltaMin, deltaMax}) =>
    runSsdGrad({...inputs, states, dy, dFinalState}, {deltaSoftplus, deltaMin, deltaMax}),
);
