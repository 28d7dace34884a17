/** The gated norm as an op of the native library. */
import type {NativeCall} from '../../backends/tensorflow';
import {offerNativeKernels, runListOp} from '../../backends/tensorflow';
import type {GatedRmsNormAttrs} from './kernels';
import {gatedRmsNormInputs} from './kernels';

function attributes({attrs}: NativeCall) {
  const {groups, normBeforeGate, epsilon} = attrs as GatedRmsNormAttrs;
  return {ints: {groups}, bools: {norm_before_gate: normBeforeGate}, floats: {epsilon}};
}

offerNativeKernels(
  {
    kernelName: 'GatedRmsNorm',
    run: (call) => runListOp(call, 'TfjsMambaGatedRmsNorm', gatedRmsNormInputs, attributes(call), 1),
  },
  {
    kernelName: 'GatedRmsNormGrad',
    run: (call) => {
      const {ints, ...rest} = attributes(call);
      const gradients = call.inputs.length - 1;
      const attrs = {ints: {...ints, NG: gradients}, ...rest};
      return runListOp(call, 'TfjsMambaGatedRmsNormGrad', [...gatedRmsNormInputs, 'dy'], attrs, gradients);
    },
  },
);
