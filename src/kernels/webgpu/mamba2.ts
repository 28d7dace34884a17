/**
 * Kernels of the backend `webgpu`, in WGSL: what `mamba2` and `mamba2Block` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/webgpu';
import '../../ops/causalConv1dUpdate/webgpu';
import '../../ops/gatedRmsNorm/webgpu';
import '../../ops/linear/webgpu';
import '../../ops/rmsNorm/webgpu';
import '../../ops/ssd/webgpu';
import '../../ops/ssdStep/webgpu';
