/** One token through a stack of Mamba-2 blocks, for decoding: an accelerator, which a backend has or has not. */
import {hasKernel} from '../../backends/engine';
import {isTensorflowOnGpu} from '../../backends/traits';
import {mamba2StepKernel} from './kernels';

/** Whether the current backend has such a kernel; that of TensorFlow is for a CPU. */
export function hasMamba2Step(): boolean {
  return hasKernel(mamba2StepKernel.kernelName) && !isTensorflowOnGpu();
}
