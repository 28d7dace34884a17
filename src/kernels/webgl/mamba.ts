/**
 * Kernels of the backend `webgl`, fragment shaders: what `mamba` and `mambaBlock` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/webgl';
import '../../ops/causalConv1dUpdate/webgl';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/webgl';
import '../../ops/selectiveScan/webgl';
import '../../ops/selectiveStateUpdate/webgl';
