/**
 * Kernels of the backend `webgpu`, in WGSL: what a language model and its
 * training run besides its layers. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../mixers/mamba1/fused';
import '../../ops/adamW/webgpu';
import '../../ops/crossEntropy/webgpu';
import '../../ops/embedding/webgpu';
import '../../ops/linear/webgpu';
import '../../ops/linear/webgpuFewRows';
import '../../ops/mambaStep/webgpu';
import '../../ops/packedLinear/webgpu';
import '../../ops/rmsNorm/webgpu';
import '../../ops/topLogits/webgpu';
import '../../ops/unpackRows/webgpu';
