/**
 * Kernels of the backend `webgl`, fragment shaders: what `mamba2` and `mamba2Block` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/webgl';
import '../../ops/causalConv1dUpdate/webgl';
import '../../ops/gatedRmsNorm/webgl';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/webgl';
import '../../ops/ssd/webgl';
import '../../ops/ssdStep/webgl';
