/**
 * The kernels of the backend `webgpu`, in WGSL. Importing this registers them.
 *
 * @packageDocumentation
 */
import './webgpu/lm';
import './webgpu/mamba';
import './webgpu/mamba2';
