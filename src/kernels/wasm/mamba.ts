/**
 * Kernels of the backend `wasm`, with SIMD: what `mamba` and `mambaBlock` run. Importing this registers them. For engines without SIMD
 * import `tfjs-mamba/backends/cpu/mamba` as well.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/wasm';
import '../../ops/causalConv1dUpdate/wasm';
import '../../ops/linear/wasm';
import '../../ops/rmsNorm/wasm';
import '../../ops/selectiveScan/wasm';
import '../../ops/selectiveStateUpdate/wasm';
