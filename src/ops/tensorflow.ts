/**
 * Every kernel of the native library, for `tfjs-mamba/node` to register once the library is loaded. Not at import, as the kernels of
 * the other backends are: without the library the composed forms must stay.
 */
import {registerNativeKernels} from '../backends/tensorflow';
import {causalConv1dNative} from './causalConv1d/tensorflow';
import {causalConv1dUpdateNative} from './causalConv1dUpdate/tensorflow';
import {crossEntropyNative} from './crossEntropy/tensorflow';
import {linearNative} from './linear/tensorflow';
import {rmsNormNative} from './rmsNorm/tensorflow';
import {selectiveScanNative} from './selectiveScan/tensorflow';
import {selectiveStateUpdateNative} from './selectiveStateUpdate/tensorflow';

const kernels = [
  ...causalConv1dNative,
  ...causalConv1dUpdateNative,
  ...crossEntropyNative,
  ...linearNative,
  ...rmsNormNative,
  ...selectiveScanNative,
  ...selectiveStateUpdateNative,
];

/** The names of the kernels that the native library serves. */
export const nativeKernelNames: readonly string[] = kernels.map(({kernelName}) => kernelName);

/** Registers them for backend `tensorflow`. */
export function registerTensorflowKernels(): void {
  registerNativeKernels(kernels);
}
