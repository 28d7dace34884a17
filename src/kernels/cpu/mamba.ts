/**
 * Kernels of the backend `cpu`, over typed arrays: what `mamba` and `mambaBlock` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/typed';
import '../../ops/causalConv1dUpdate/typed';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/typed';
import '../../ops/selectiveScan/typed';
import '../../ops/selectiveStateUpdate/typed';
