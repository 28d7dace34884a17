/**
 * Kernels of the backend `webgpu`, in WGSL: what `mamba` and `mambaBlock` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/webgpu';
import '../../ops/causalConv1dUpdate/webgpu';
import '../../ops/linear/webgpu';
import '../../ops/rmsNorm/webgpu';
import '../../ops/selectiveScan/webgpu';
import '../../ops/selectiveStateUpdate/webgpu';
