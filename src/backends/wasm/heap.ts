/** Tensors of the `wasm` backend: where they lie in its heap, and making new ones there. */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import type {EmscriptenModule, HeapOperand} from './simd';

/** What is used of TensorFlow.js's wasm backend. */
export interface WasmBackend {
  wasm: EmscriptenModule;
  dataIdMap: {get(dataId: object): {memoryOffset: number | null}};
  makeOutput(shape: number[], dtype: DataType): TensorInfo;
  typedArrayFromHeap(info: TensorInfo): Float32Array;
}

/** Shape and type of a result. */
export interface OutputSpec {
  shape: number[];
  dtype?: DataType;
}

/**
 * Makes the results of a kernel, uninitialised. Both making one and moving an input in, which happens when a tensor that still waits
 * in JavaScript is first asked for, may grow the heap and void every view: so all of that happens here, before any view is taken.
 */
export function makeOutputs(
  backend: WasmBackend,
  kernelName: string,
  inputs: readonly TensorInfo[],
  specs: readonly OutputSpec[],
): TensorInfo[] {
  for (const {dataId} of inputs) {
    backend.dataIdMap.get(dataId);
  }
  return specs.map(({shape, dtype = 'float32'}) => {
    const info = backend.makeOutput(shape, dtype);
    // Out of memory is silent in TensorFlow.js's wasm backend: the allocator answers with offset 0.
    if (info.shape.every((n) => n > 0) && operandOf(backend, info).at === 0) {
      throw new Error(`${kernelName}: the wasm backend is out of memory for a result of shape [${shape.join(',')}]`);
    }
    return info;
  });
}

/** A tensor as the SIMD kernels see it. */
export function operandOf(backend: WasmBackend, {shape, dataId}: TensorInfo): HeapOperand {
  return {shape, at: backend.dataIdMap.get(dataId).memoryOffset!};
}
