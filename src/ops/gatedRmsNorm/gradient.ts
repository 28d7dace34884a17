/** The gradient of the gated norm, for every backend: one call of its fused gradient kernel, which needs nothing but the inputs. */
import {defineGradient} from '../kernel';
import type {GatedRmsNormAttrs, GatedRmsNormInput} from './kernels';
import {runGatedRmsNormGrad} from './kernels';

defineGradient<GatedRmsNormInput, GatedRmsNormAttrs>(
  'GatedRmsNorm',
  [false],
  ([dy], inputs, _outputs, {groups, normBeforeGate, epsilon}) =>
    runGatedRmsNormGrad({...inputs, dy}, {groups, normBeforeGate, epsilon}),
);
