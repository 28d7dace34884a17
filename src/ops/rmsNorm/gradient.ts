/**
 * The gradient of the norm, for every backend. x and the residual enter as a sum, so their gradients are equal; each gets a tensor of
 * its own, as the engine disposes one as soon as it has added it to another.
 */
import {defineGradient} from '../kernel';
import type {RmsNormAttrs, RmsNormInput} from './kernels';
import {runRmsNormGrad} from './kernels';

defineGradient<RmsNormInput, RmsNormAttrs>(
  'RmsNorm',
  [false, true],
  ([dy, dResidual], {x, weight, residual}, [sum], {epsilon}) => {
    const [dr, dWeight] = runRmsNormGrad({r: sum ?? x, weight, dy, dResidual}, {epsilon});
    return residual ? [dr, dWeight, dr.clone()] : [dr, dWeight];
  },
);
