/**
 * Kernels over typed arrays, for the two backends whose tensors lie in the JavaScript heap or in a heap JavaScript can see:
 * `cpu` keeps a typed array per tensor, `wasm` one memory on which views can be taken. One implementation serves both, without
 * a copy.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import {getKernel, registerKernel} from '@tensorflow/tfjs';

/** A tensor as a typed-array kernel sees it. */
export interface Operand {
  readonly shape: readonly number[];
  /** The values in row-major order. Integer tensors come as Int32Array, which kernels index alike. */
  readonly values: Float32Array;
}

/** Shape and type of a result. */
export interface OutputSpec {
  shape: number[];
  dtype?: DataType;
}

/**
 * A kernel in two steps: first the shapes of its results, then the computation into them. The split is needed because making a
 * tensor on wasm can move the heap and void every view taken before.
 */
export interface TypedArrayKernel {
  kernelName: string;
  // A spec alone, not in an array, is for kernels that tfjs's own ops call: these want a tensor back and not a list of one.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- attributes differ from op to op
  outputs(inputs: ReadonlyArray<{shape: readonly number[]}>, attrs: any): OutputSpec[] | OutputSpec;
  /** Writes every element of every output: on wasm they start as whatever the memory held. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  compute(inputs: Operand[], outputs: Operand[], attrs: any): void;
}

interface CpuBackend {
  data: {get(dataId: object): {values: Float32Array}};
  makeTensorInfo(shape: number[], dtype: DataType, values: Float32Array | Int32Array): TensorInfo;
}

interface WasmBackend {
  dataIdMap: {get(dataId: object): {memoryOffset: number | null}};
  makeOutput(shape: number[], dtype: DataType): TensorInfo;
  typedArrayFromHeap(info: TensorInfo): Float32Array;
}

/** Registers the kernel for `cpu` and `wasm`, unless a backend has one of that name already. */
export function registerTypedArrayKernel(
  kernel: TypedArrayKernel,
  backends: readonly ('cpu' | 'wasm')[] = ['cpu', 'wasm'],
): void {
  const run = {cpu: runOnCpu, wasm: runOnWasm};
  for (const backendName of backends) {
    if (getKernel(kernel.kernelName, backendName) === undefined) {
      const kernelFunc = ({inputs, backend, attrs}: {inputs: unknown; backend: unknown; attrs?: unknown}) =>
        run[backendName](kernel, Object.values(inputs as object) as TensorInfo[], backend as never, attrs);
      registerKernel({kernelName: kernel.kernelName, backendName, kernelFunc});
    }
  }
}

type Results = TensorInfo[] | TensorInfo;

function runOnCpu(kernel: TypedArrayKernel, inputs: TensorInfo[], backend: CpuBackend, attrs: unknown): Results {
  const specs = kernel.outputs(inputs, attrs);
  const results = [specs].flat().map(({shape, dtype = 'float32'}) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = dtype === 'int32' ? new Int32Array(size) : new Float32Array(size);
    return {shape, values: values as Float32Array, info: backend.makeTensorInfo(shape, dtype, values)};
  });
  kernel.compute(
    inputs.map((info) => ({shape: info.shape, values: backend.data.get(info.dataId).values})),
    results,
    attrs,
  );
  return Array.isArray(specs) ? results.map(({info}) => info) : results[0].info;
}

function runOnWasm(kernel: TypedArrayKernel, inputs: TensorInfo[], backend: WasmBackend, attrs: unknown): Results {
  // A tensor that still waits in JavaScript moves in when it is first asked for; that may grow the heap, so it comes first.
  for (const info of inputs) {
    backend.dataIdMap.get(info.dataId);
  }
  const specs = kernel.outputs(inputs, attrs);
  const infos = [specs].flat().map(({shape, dtype = 'float32'}) => {
    const info = backend.makeOutput(shape, dtype);
    // Out of memory is silent in tfjs's wasm backend: the allocator answers with offset 0.
    if (info.shape.every((n) => n > 0) && backend.dataIdMap.get(info.dataId).memoryOffset === 0) {
      throw new Error(
        `${kernel.kernelName}: the wasm backend is out of memory for a result of shape [${shape.join(',')}]`,
      );
    }
    return info;
  });
  const operand = (info: TensorInfo): Operand => ({shape: info.shape, values: backend.typedArrayFromHeap(info)});
  const results = infos.map(operand);
  kernel.compute(inputs.map(operand), results, attrs);
  return Array.isArray(specs) ? infos : infos[0];
}
