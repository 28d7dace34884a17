/**
 * The product by packed rows with SIMD, for `wasm` and the few rows of decoding: custom-ops/wasm/packed.ts. More rows, or a machine without
 * SIMD, unpack them for the linear map.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {lm} from '../../backends/wasm/binaries/lm';
import type {WasmBackend} from '../../backends/wasm/heap';
import {makeOutputs, operandOf} from '../../backends/wasm/heap';
import {simdFor} from '../../backends/wasm/simd';
import {byName, registerArrayKernel, runComposed} from '../kernel';
import type {PackedLinearInput} from './kernels';

/** Up to this many rows are multiplied without unpacking. */
const FEW_ROWS = 4;

registerArrayKernel('PackedLinear', 'wasm', ({inputs, backend, attrs}) => {
  const heap = backend as WasmBackend;
  const {x, words, scales, bias} = byName<PackedLinearInput, TensorInfo>(inputs, attrs.present);
  const [rows, width] = x!.shape;
  const simd = rows > FEW_ROWS ? undefined : simdFor(heap.wasm, lm);
  if (simd === undefined) return runComposed('PackedLinear', {inputs, attrs});
  const out = scales!.shape[0];
  const results = makeOutputs(heap, 'PackedLinear', inputs, [{shape: [rows, out]}]);
  const at = (info: TensorInfo) => operandOf(heap, info).at;
  const given = [x!, words!, scales!].map(at);
  simd.functions.packedProduct(...given, bias ? at(bias) : 0, at(results[0]), rows, out, width);
  return results;
});
