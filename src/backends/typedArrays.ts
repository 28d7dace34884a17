/**
 * Kernels over typed arrays, for the two backends whose tensors lie in the JavaScript heap or in a heap JavaScript can see:
 * `cpu` keeps a typed array per tensor, `wasm` one memory on which views can be taken. One implementation serves both, without
 * a copy.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import {getKernel, registerKernel} from '@tensorflow/tfjs';
import type {OutputSpec, WasmBackend} from './wasm/heap';
import {makeOutputs} from './wasm/heap';

/** A tensor as a typed-array kernel sees it. */
export interface Operand {
  readonly shape: readonly number[];
  /** The values in row-major order. Integer tensors come as Int32Array, which kernels index alike. */
  readonly values: Float32Array;
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
  const specs = kernel.outputs(inputs, attrs);
  const infos = makeOutputs(backend, kernel.kernelName, inputs, [specs].flat());
  compute(kernel, inputs, infos, backend, attrs);
  return Array.isArray(specs) ? infos : infos[0];
}

/** A faster form of a kernel on `wasm`: writes the outputs and returns true, or does nothing and returns false where it cannot run. */
export type FasterForm = (backend: WasmBackend, inputs: TensorInfo[], outputs: TensorInfo[], attrs: unknown) => boolean;

/** Handed over rather than imported, so that `cpu` alone does not bring the binary of `wasm` into a page. */
const fasterForms = new Map<string, FasterForm>();

/** Gives the kernel of that name a faster form on `wasm`; outputs are as the kernel declares them. */
export function offerFasterForm(kernelName: string, form: FasterForm): void {
  fasterForms.set(kernelName, form);
}

/** By the kernel's faster form if there is one and it can run, otherwise by the typed-array form. */
function compute(
  kernel: TypedArrayKernel,
  inputs: TensorInfo[],
  outputs: TensorInfo[],
  backend: WasmBackend,
  attrs: unknown,
): void {
  if (fasterForms.get(kernel.kernelName)?.(backend, inputs, outputs, attrs)) return;
  const operand = (info: TensorInfo): Operand => ({shape: info.shape, values: backend.typedArrayFromHeap(info)});
  kernel.compute(inputs.map(operand), outputs.map(operand), attrs);
}
