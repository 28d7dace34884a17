/**
 * Kernels of the backend `wasm`, with SIMD, and over typed arrays where there is none: what `mamba` and `mambaBlock` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/wasm';
import '../../ops/linear/wasm';
import '../../ops/rmsNorm/wasm';
import '../../ops/selectiveScan/wasm';
import '../../ops/selectiveStateUpdate/wasm';
import '../cpu/mamba';
