/**
 * Kernels of the backend `wasm`, with SIMD, and over typed arrays where there is none: what a language model and its
 * training run besides its layers. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/adamW/wasm';
import '../../ops/crossEntropy/wasm';
import '../../ops/linear/wasm';
import '../../ops/packedLinear/wasm';
import '../../ops/rmsNorm/wasm';
import '../cpu/lm';
