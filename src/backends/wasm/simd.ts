/**
 * The SIMD kernels of the `wasm` backend: modules of our own (custom-ops/wasm) that import TensorFlow.js's memory and work on the
 * tensors where they lie. They have no data and no stack of their own, and take scratch from TensorFlow.js's allocator, so nothing is
 * copied and no module can disturb another.
 *
 * Where it cannot be had – no SIMD, a page whose policy forbids it – the typed-array kernels do the work if they are imported too, and
 * that is said once.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {KernelShape} from '../typedArrays';
import {offerForm} from './forms';
import {makeOutputs, operandOf} from './heap';
import {fromText} from './text';

/** The functions of a module, with pointers and numbers as arguments. */
type SimdFunctions = Record<string, (...args: number[]) => number>;

/** A tensor in the heap. */
export interface HeapOperand {
  readonly shape: readonly number[];
  /** Byte offset of the first value. */
  readonly at: number;
}

/** What a kernel computes with. */
export interface Simd {
  functions: SimdFunctions;
  /** Runs `use` with that many bytes of scratch, aligned to 8 and uninitialised. */
  withScratch<T>(bytes: number, use: (at: number) => T): T;
}

/** A kernel that writes every element of every output. */
type SimdKernel = (
  simd: Simd,
  inputs: HeapOperand[],
  outputs: HeapOperand[],
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- attributes differ from op to op
  attrs: any,
) => void;

/** What is used of TensorFlow.js's wasm backend, an Emscripten module. */
export interface EmscriptenModule {
  _malloc(bytes: number): number;
  _free(at: number): void;
  /** The memory; another view of it once it has grown. */
  HEAPU8: Uint8Array<ArrayBuffer>;
  asm: {memory?: WebAssembly.Memory};
  /** With threads, the memory is made in JavaScript and shared. */
  wasmMemory?: WebAssembly.Memory;
}

/** Byte offsets, with 0 for what is absent. */
export function offsets(operands: ReadonlyArray<HeapOperand | undefined>): number[] {
  return operands.map((operand) => operand?.at ?? 0);
}

/** The modules of a backend by their binaries; undefined where there can be none. */
const instances = new WeakMap<EmscriptenModule, Map<string, Simd> | undefined>();

/**
 * Registers a kernel with SIMD for machines that can run it.
 *
 * @param binary the module that has the kernel's functions, one of ./binaries.
 */
export function registerSimdKernel(binary: string, {kernelName, outputs}: KernelShape, kernel: SimdKernel): void {
  offerForm(kernelName, 'simd', (inputs, backend, attrs) => {
    const simd = simdFor(backend.wasm, binary);
    if (simd === undefined) return undefined;
    const results = makeOutputs(backend, kernelName, inputs, [outputs(inputs, attrs)].flat());
    const operand = (info: TensorInfo) => operandOf(backend, info);
    kernel(simd, inputs.map(operand), results.map(operand), attrs);
    return results;
  });
}

/** A module for a backend, made on first use; undefined where there can be none. */
export function simdFor(wasm: EmscriptenModule, binary: string): Simd | undefined {
  if (!instances.has(wasm)) instances.set(wasm, new Map());
  const modules = instances.get(wasm);
  try {
    if (modules && !modules.has(binary)) modules.set(binary, instantiate(wasm, binary));
  } catch (error) {
    instances.set(wasm, undefined);
    const {message} = error as Error;
    console.warn(`tfjs-mamba: no SIMD kernels on wasm, plain ones are used, which are slower: ${message}`);
  }
  return modules?.get(binary);
}

function instantiate(wasm: EmscriptenModule, binary: string): Simd {
  const memory = wasm.wasmMemory ?? wasm.asm.memory;
  if (memory === undefined) {
    throw new Error('this version of the backend does not show its memory');
  }
  return {functions: functionsOn(memory, binary), withScratch: (bytes, use) => withScratch(wasm, bytes, use)};
}

/** Whether WebAssembly has SIMD: whether a function that adds up nothing but a vector is valid. */
export function hasSimd(): boolean {
  const code = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  ];
  return WebAssembly.validate(Uint8Array.from(code));
}

/** The functions of a module, on a memory. @throws Error if it cannot be had here. */
export function functionsOn(memory: WebAssembly.Memory, binary: string): SimdFunctions {
  const bytes = moduleBytes(binary, !(memory.buffer instanceof ArrayBuffer));
  if (!WebAssembly.validate(bytes)) {
    throw new Error('WebAssembly has no SIMD here');
  }
  // Compiled at once, because kernels are; browsers allow it up to 8 MB (before 2023 Chrome's main thread did not, and throws here).
  const {exports} = new WebAssembly.Instance(new WebAssembly.Module(bytes), {env: {memory, log: Math.log}});
  return exports as SimdFunctions;
}

/** The import of the memory: its two names, its kind, and 3 for "shared, with a maximum". */
const memoryImport = [...'\x03env\x06memory\x02\x03'].map((character) => character.charCodeAt(0));

function moduleBytes(binary: string, shared: boolean): Uint8Array<ArrayBuffer> {
  const bytes = fromText(binary);
  const at = bytes.findIndex((_, i) => memoryImport.every((byte, k) => bytes[i + k] === byte));
  bytes[at + memoryImport.length - 1] = shared ? 3 : 1;
  return bytes;
}

function withScratch<T>(wasm: EmscriptenModule, bytes: number, use: (at: number) => T): T {
  const at = wasm._malloc(bytes);
  if (at === 0) {
    throw new Error(`the wasm backend is out of memory for ${bytes} bytes of scratch`);
  }
  try {
    return use(at);
  } finally {
    wasm._free(at);
  }
}
