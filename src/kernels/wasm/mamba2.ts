/**
 * Kernels of the backend `wasm`, with SIMD, and over typed arrays where there is none: what `mamba2` and `mamba2Block` run. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/causalConv1d/wasm';
import '../../ops/gatedRmsNorm/wasm';
import '../../ops/linear/wasm';
import '../../ops/rmsNorm/wasm';
import '../../ops/ssd/wasm';
import '../../ops/ssdStep/wasm';
import '../cpu/mamba2';
