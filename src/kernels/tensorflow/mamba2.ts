/**
 * Kernels of the backend `tensorflow`, of the native library, once it is loaded, and the composed forms until then: what `mamba2` and `mamba2Block` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/tensorflow';
import '../../ops/causalConv1dUpdate/tensorflow';
import '../../ops/gatedRmsNorm/tensorflow';
import '../../ops/linear/tensorflow';
import '../../ops/rmsNorm/tensorflow';
import '../../ops/ssd/tensorflow';
import '../../ops/ssdStep/tensorflow';
import '../composed';
