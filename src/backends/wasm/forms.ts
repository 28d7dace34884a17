/**
 * The kernels of `wasm`, of which each may have two forms: with SIMD, and over typed arrays for engines without. Neither brings the other
 * into a page; whichever is imported registers the kernel, and which of them runs is seen when it is called.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {getKernel, registerKernel} from '@tensorflow/tfjs';
import type {WasmBackend} from './heap';

type Results = TensorInfo[] | TensorInfo;

/** Computes the kernel; undefined where it cannot run. */
type Form = (inputs: TensorInfo[], backend: WasmBackend, attrs: unknown) => Results | undefined;

const kernels = new Map<string, {simd?: Form; plain?: Form}>();

/** Gives the kernel of that name a form, unless it has it or another package has registered the kernel. */
export function offerForm(kernelName: string, kind: 'simd' | 'plain', form: Form): void {
  const forms = kernels.get(kernelName) ?? {};
  forms[kind] ??= form;
  kernels.set(kernelName, forms);
  if (getKernel(kernelName, 'wasm') !== undefined) return;
  const kernelFunc = ({inputs, backend, attrs}: {inputs: object; backend: unknown; attrs?: unknown}) => {
    const given = [Object.values(inputs) as TensorInfo[], backend as WasmBackend, attrs] as const;
    const results = forms.simd?.(...given) ?? forms.plain?.(...given);
    if (results) return results;
    throw new Error(
      `${kernelName}: WebAssembly has no SIMD here; import 'tfjs-mamba/backends/cpu', whose kernels run on wasm without it`,
    );
  };
  registerKernel({kernelName, backendName: 'wasm', kernelFunc});
}
