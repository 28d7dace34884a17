/**
 * Adapters: LoRA and DoRA beside the weights of a language model, in PEFT's files. It brings no kernels: import those of the backends that
 * the program runs on, such as `tfjs-mamba/backends/webgpu`.
 *
 * @packageDocumentation
 */
export type {AdapterInfo, AdapterOptions, LoadAdapterOptions} from '../adapters';
export {addAdapter, loadAdapter, mergeAdapter, removeAdapter, saveAdapter, unmergeAdapter} from '../adapters';
