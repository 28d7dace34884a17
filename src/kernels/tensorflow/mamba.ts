/**
 * Kernels of the backend `tensorflow`, of the native library, once it is loaded, and the composed forms until then: what `mamba` and `mambaBlock` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/tensorflow';
import '../../ops/causalConv1dUpdate/tensorflow';
import '../../ops/linear/tensorflow';
import '../../ops/rmsNorm/tensorflow';
import '../../ops/selectiveScan/tensorflow';
import '../../ops/selectiveStateUpdate/tensorflow';
import '../composed';
