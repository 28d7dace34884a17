/** The gradient of a linear map, for every backend. */
import {defineGradient} from '../kernel';
import type {LinearAttrs, LinearInput} from './kernels';
import {runLinearGrad} from './kernels';

defineGradient<LinearInput, LinearAttrs>('Linear', [false], (dys, inputs, _outputs, {transposeKernel, sizes}) => {
  const parts = sizes?.length ?? 1;
  const [dy, dy1, dy2] = dys.slice(0, parts);
  return runLinearGrad({...inputs, dy, dy1, dy2, passed: dys[parts]}, {transposeKernel});
});
