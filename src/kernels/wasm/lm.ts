/**
 * Kernels of the backend `wasm`, with SIMD where it makes a difference: what a language model and its training run besides its layers.
 * Importing this registers them. For engines without SIMD import `tfjs-mamba/backends/cpu/lm` as well.
 *
 * @packageDocumentation
 */
import '../../mixers/mamba1/fused';
import '../../ops/adamW/wasm';
import '../../ops/crossEntropy/wasm';
import '../../ops/linear/wasm';
import '../../ops/mambaStep/wasm';
import '../../ops/packedLinear/wasm';
import '../../ops/rmsNorm/wasm';
import '../../ops/unpackRows/typed';
import '../../ops/unsortedSegmentSum/typed';
