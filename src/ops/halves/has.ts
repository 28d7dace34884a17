/** Whether there are kernels for rows of bfloat16, for those who come without them. */
import {hasKernel} from '../../backends/engine';
import {isTensorflowOnCpu} from '../../backends/traits';

/** Whether the current backend has them. */
export function hasHalves(): boolean {
  return hasKernel('UnpackHalves') && isTensorflowOnCpu();
}
