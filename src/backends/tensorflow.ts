/**
 * Running an op of the native library on the `tensorflow` backend, which is tfjs-node's: TensorFlow's own eager ops, one call each.
 *
 * The library's ops take the inputs that are present as one list and an attribute `present` whose bits say which they are, as the
 * kernels of this package do by names. A wrong call is an exception from TensorFlow that says what was wrong.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {backend, getKernel, registerKernel, unregisterKernel} from '@tensorflow/tfjs';
import type {KernelFunc} from '@tensorflow/tfjs';
import {isTensorflowOnCpu} from './traits';

/** What is used of tfjs-node's backend. */
export interface NodeBackend {
  binding: Record<'TF_ATTR_INT' | 'TF_ATTR_FLOAT' | 'TF_ATTR_BOOL', number>;
  /** Whether TensorFlow has a GPU, on which its ops and those of the library then run. */
  isUsingGpuDevice: boolean;
  executeMultipleOutputs(name: string, attrs: OpAttr[], inputs: TensorInfo[], outputs: number): TensorInfo[];
}

interface OpAttr {
  name: string;
  type: number;
  value: number | boolean;
}

/** Attributes of an op by kind: TensorFlow tells an integer from a float, JavaScript does not. */
export interface OpAttrs {
  ints?: Record<string, number>;
  floats?: Record<string, number>;
  bools?: Record<string, boolean>;
}

/** Runs an op whose inputs and attributes are given as they are. */
export function runNativeOp(
  backend: NodeBackend,
  op: string,
  inputs: TensorInfo[],
  {ints = {}, floats = {}, bools = {}}: OpAttrs,
  outputs: number,
): TensorInfo[] {
  const {TF_ATTR_INT, TF_ATTR_FLOAT, TF_ATTR_BOOL} = backend.binding;
  const list = (type: number, values: Record<string, number | boolean>) =>
    Object.entries(values).map(([name, value]) => ({name, type, value}));
  const attrs = [...list(TF_ATTR_INT, ints), ...list(TF_ATTR_FLOAT, floats), ...list(TF_ATTR_BOOL, bools)];
  try {
    return backend.executeMultipleOutputs(op, attrs, inputs, outputs);
  } catch (error) {
    const {message} = error as Error;
    // What TensorFlow says of an op, or an attribute of one, that an older library does not have.
    if (!/is neither a type|No attr named/.test(message)) throw error;
    const reason = 'the native library is of another version of this package';
    throw new Error(`${op}: ${reason}; npx tfjs-mamba setup-native builds the right one (${message})`, {cause: error});
  }
}

/** What a kernel function is handed: the present inputs, and attributes of which `present` names them. */
export interface NativeCall {
  inputs: TensorInfo[];
  backend: NodeBackend;
  present: readonly string[];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- attributes differ from op to op
  attrs: any;
}

export interface NativeKernel {
  kernelName: string;
  run(call: NativeCall): TensorInfo[];
}

/**
 * Runs an op of the library that takes its inputs as one list. `order` are the op's inputs, present or not. An op of sequences has the
 * ids of packed documents in a list of their own, as TensorFlow's lists are of one type; the attribute NQ is its length.
 */
export function runListOp(
  {inputs, backend, present}: Pick<NativeCall, 'inputs' | 'backend' | 'present'>,
  op: string,
  order: readonly string[],
  attrs: OpAttrs,
  outputs: number,
): TensorInfo[] {
  const here = order.filter((name) => present.includes(name));
  const sorted = here.map((name) => inputs[present.indexOf(name)]);
  const ids = inputs.filter((_, i) => present[i] === 'sequenceIds');
  const ints = {...attrs.ints, NI: sorted.length, present: bitsOf(order, present), ...(ids.length > 0 && {NQ: 1})};
  return runNativeOp(backend, op, [...sorted, ...ids], {...attrs, ints}, outputs);
}

/** Bit i says whether input i of `order` is present. */
export function bitsOf(order: readonly string[], present: readonly string[]): number {
  return order.reduce((bits, name, i) => bits | (present.includes(name) ? 1 << i : 0), 0);
}

/**
 * The attributes by which the library knows the inputs of blocks (src/ops/chain.ts), of which there are `count` in all, and how many blocks
 * that makes.
 */
export function chainAttrs(
  count: number,
  order: readonly string[],
  {present, packed}: {present: readonly string[]; packed: readonly string[]},
): {ints: Record<'NI' | 'NW' | 'blocks' | 'present' | 'packed', number>; blocks: number} {
  const blocks = count / (present.length + packed.length);
  const bits = {present: bitsOf(order, present), packed: bitsOf(order, packed)};
  return {ints: {NI: blocks * present.length, NW: blocks * packed.length, blocks, ...bits}, blocks};
}

/** The part of the addon that decodes: see custom-ops/loader/decoder.cc. */
export interface NativeDecoders {
  nextTokens(
    decoder: number,
    ids: Int32Array,
    logits: Float32Array,
    count: number,
    vocabSize: number,
    top: Float32Array,
  ): void;
  decoderState(decoder: number, state: Float32Array): void;
  closeDecoder(decoder: number): void;
}

let decoders: NativeDecoders | undefined;

/** The decoders of the library, where it is loaded and the current backend is TensorFlow on a CPU. */
export function nativeDecoders(): NativeDecoders | undefined {
  return isTensorflowOnCpu() ? decoders : undefined;
}

/** The backend for an op that the library has for the CPU alone, where it is loaded and the current backend is TensorFlow on a CPU. */
export function nativeBackend(): NodeBackend | undefined {
  return nativeDecoders() && (backend() as unknown as NodeBackend);
}

const offered: NativeKernel[] = [];
let libraryLoaded = false;

/**
 * Offers kernels of the native library. They are registered when the library is loaded and not at import, as the kernels of the other
 * backends are: without the library the composed forms must stay.
 */
export function offerNativeKernels(...kernels: NativeKernel[]): void {
  offered.push(...kernels);
  if (libraryLoaded) register(kernels);
}

/** Registers what is offered for the `tensorflow` backend; to be called once the library is loaded. Gives the kernels' names. */
export function useNativeKernels(addon: NativeDecoders): string[] {
  decoders = addon;
  if (!libraryLoaded) register(offered);
  libraryLoaded = true;
  return offered.map(({kernelName}) => kernelName);
}

function register(kernels: readonly NativeKernel[]): void {
  for (const {kernelName, run} of kernels) {
    // A composed form may have been used before.
    if (getKernel(kernelName, 'tensorflow') !== undefined) {
      unregisterKernel(kernelName, 'tensorflow');
    }
    const kernelFunc = (params: {inputs: TensorInfo[]; backend: NodeBackend; attrs: {present: string[]}}) =>
      run({...params, present: params.attrs.present});
    registerKernel({kernelName, backendName: 'tensorflow', kernelFunc: kernelFunc as unknown as KernelFunc});
  }
}
