/**
 * The kernels of the backend `wasm`, with SIMD, and over typed arrays where there is none. Importing this registers them.
 *
 * @packageDocumentation
 */
import './wasm/lm';
import './wasm/mamba';
import './wasm/mamba2';
