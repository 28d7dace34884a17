/**
 * Kernels of the backend `cpu`, over typed arrays: what `mamba2` and `mamba2Block` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/typed';
import '../../ops/causalConv1dUpdate/typed';
import '../../ops/gatedRmsNorm/typed';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/typed';
import '../../ops/ssd/typed';
import '../../ops/ssdStep/typed';
