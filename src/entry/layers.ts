/**
 * The layers alone. A bundler takes along what is used of them and no kernels: import those of the backends that the page runs on,
 * such as `tfjs-mamba/backends/webgl/mamba`.
 *
 * @packageDocumentation
 */
export * from '../layers';
export * from '../layers/classes';
export * from './mixers';
