/**
 * The kernels of the backend `wasm`, with SIMD. Importing this registers them. For engines without SIMD import `tfjs-mamba/backends/cpu` as
 * well; `tfjs-mamba` brings both.
 *
 * @packageDocumentation
 */
import './wasm/lm';
import './wasm/mamba';
import './wasm/mamba2';
