/** The root-mean-square norm as an op of the native library. */
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {RmsNormAttrs} from './kernels';
import {rmsNormInputs} from './kernels';

offerNativeKernels(
  {
    kernelName: 'RmsNorm',
    run: (call) => {
      const {epsilon} = call.attrs as RmsNormAttrs;
      const outputs = call.present.includes('residual') ? 2 : 1;
      return runListOp(call, 'TfjsMambaRmsNorm', rmsNormInputs, {ints: {NO: outputs}, floats: {epsilon}}, outputs);
    },
  },
  {
    kernelName: 'RmsNormGrad',
    run: (call) => {
      const {epsilon} = call.attrs as RmsNormAttrs;
      return runListOp(call, 'TfjsMambaRmsNormGrad', ['r', 'weight', 'dy', 'dResidual'], {floats: {epsilon}}, 2);
    },
  },
);
