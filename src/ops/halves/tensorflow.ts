/** Rows of bfloat16 on TensorFlow, by the native library: products of few rows as they lie, of more by TensorFlow's matMul. */
import type {TensorInfo} from '@tensorflow/tfjs';
import {offerNativeKernels, runNativeOp} from '../../backends/tensorflow';
import {byName, offerComposed, runComposed} from '../kernel';
import {linear} from '../linear';
import type {HalfLinearInput} from './kernels';
import {runHalfLinear, runUnpackHalves} from './kernels';

/** Up to this many rows the native product is the faster one. */
const FEW_ROWS = 4;

offerComposed(runHalfLinear, ({x, words, bias}) => [
  linear({x, kernel: runUnpackHalves({words}, {})[0], bias, transposeKernel: true}),
]);

offerNativeKernels(
  {
    kernelName: 'UnpackHalves',
    run: ({inputs, backend}) => runNativeOp(backend, 'TfjsMambaUnpackRows', inputs, {ints: {NS: 0}}, 1),
  },
  {
    kernelName: 'HalfLinear',
    run: ({inputs, backend, present, attrs}) => {
      const {x, words, bias} = byName<HalfLinearInput, TensorInfo>(inputs, present);
      if (x!.shape[0] <= FEW_ROWS) {
        const ints = {NS: 0, NB: bias ? 1 : 0};
        return runNativeOp(backend, 'TfjsMambaPackedMatVec', [x!, words!, ...(bias ? [bias] : [])], {ints}, 1);
      }
      return runComposed('HalfLinear', {inputs, attrs});
    },
  },
);
