/**
 * Kernels of the backend `wasm`, with SIMD: what `mamba2` and `mamba2Block` run. Importing this registers them. For engines without SIMD
 * import `tfjs-mamba/backends/cpu/mamba2` as well.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/wasm';
import '../../ops/causalConv1dUpdate/wasm';
import '../../ops/gatedRmsNorm/wasm';
import '../../ops/linear/wasm';
import '../../ops/rmsNorm/wasm';
import '../../ops/ssd/wasm';
import '../../ops/ssdStep/wasm';
