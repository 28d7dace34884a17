/**
 * Kernels over typed arrays, for the two backends whose tensors lie in the JavaScript heap or in a heap JavaScript can see:
 * `cpu` keeps a typed array per tensor, `wasm` one memory on which views can be taken. One implementation serves both, without
 * a copy.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import {getKernel, registerKernel} from '@tensorflow/tfjs';
import {offerForm} from './wasm/forms';
import type {OutputSpec, WasmBackend} from './wasm/heap';
import {makeOutputs} from './wasm/heap';

/** A tensor as a typed-array kernel sees it. */
export interface Operand {
  readonly shape: readonly number[];
  /** The values in row-major order. Integer tensors come as Int32Array, which kernels index alike. */
  readonly values: Float32Array;
}

/** The name of a kernel and the shapes of its results. */
export interface KernelShape {
  kernelName: string;
  // A spec alone, not in an array, is for kernels that tfjs's own ops call: these want a tensor back and not a list of one.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- attributes differ from op to op
  outputs(inputs: ReadonlyArray<{shape: readonly number[]}>, attrs: any): OutputSpec[] | OutputSpec;
}

/**
 * A kernel in two steps: first the shapes of its results, then the computation into them. The split is needed because making a
 * tensor on wasm can move the heap and void every view taken before.
 */
export interface TypedArrayKernel extends KernelShape {
  /** Writes every element of every output: on wasm they start as whatever the memory held. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  compute(inputs: Operand[], outputs: Operand[], attrs: any): void;
}

interface CpuBackend {
  data: {get(dataId: object): {values: Float32Array}};
  makeTensorInfo(shape: number[], dtype: DataType, values: Float32Array | Int32Array): TensorInfo;
}

/** Registers the kernel for `cpu`, and for `wasm` where that has no SIMD, unless a backend has one of that name already. */
export function registerTypedArrayKernel(
  kernel: TypedArrayKernel,
  backends: readonly ('cpu' | 'wasm')[] = ['cpu', 'wasm'],
): void {
  const {kernelName} = kernel;
  if (backends.includes('cpu') && getKernel(kernelName, 'cpu') === undefined) {
    const kernelFunc = ({inputs, backend, attrs}: {inputs: object; backend: unknown; attrs?: unknown}) =>
      runOnCpu(kernel, Object.values(inputs) as TensorInfo[], backend as CpuBackend, attrs);
    registerKernel({kernelName, backendName: 'cpu', kernelFunc});
  }
  if (backends.includes('wasm')) {
    offerForm(kernelName, 'plain', (inputs, backend, attrs) => runOnWasm(kernel, inputs, backend, attrs));
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
  const specs = kernel.outputs(inputs, attrs);
  const infos = makeOutputs(backend, kernel.kernelName, inputs, [specs].flat());
  const operand = (info: TensorInfo): Operand => ({shape: info.shape, values: backend.typedArrayFromHeap(info)});
  kernel.compute(inputs.map(operand), infos.map(operand), attrs);
  return Array.isArray(specs) ? infos : infos[0];
}
