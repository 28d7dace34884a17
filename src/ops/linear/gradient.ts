/** The gradient of a linear map, for every backend. */
import {defineGradient} from '../kernel';
import type {LinearAttrs, LinearInput} from './kernels';
import {runLinearGrad} from './kernels';

defineGradient<LinearInput, LinearAttrs>('Linear', [false], ([dy], inputs, _outputs, {transposeKernel}) =>
  runLinearGrad({...inputs, dy}, {transposeKernel}),
);
