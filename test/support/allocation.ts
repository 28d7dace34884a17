/**
 * Counts what a kernel allocates besides its results. TensorFlow.js counts tensors only, so this looks where scratch would come from:
 * the constructors and copying methods of typed arrays, array buffers, and malloc on the wasm heap.
 */
import * as tf from '@tensorflow/tfjs';
import {sizeOf} from './arrays';

interface WasmModule {
  _malloc(bytes: number): number;
}

const constructorNames = [
  ...['ArrayBuffer', 'Float32Array', 'Float64Array', 'Int8Array', 'Int16Array', 'Int32Array'],
  ...['Uint8Array', 'Uint8ClampedArray', 'Uint16Array', 'Uint32Array'],
];
const copyingMethods = ['slice', 'map', 'filter'];

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- constructors and methods of every kind are wrapped
type Wrapped = Record<string, any>;

/** Bytes that typed arrays, array buffers and the wasm heap were asked for while `f` ran. */
function countBytes<T>(f: () => T): {result: T; bytes: number} {
  let bytes = 0;
  const undo: (() => void)[] = [];
  const replace = (holder: Wrapped, name: string, value: unknown) => {
    const original = holder[name];
    holder[name] = value;
    undo.push(() => (holder[name] = original));
  };

  for (const name of constructorNames) {
    const counting: ProxyHandler<Wrapped & (new () => ArrayBufferView | ArrayBuffer)> = {
      construct(target, args, newTarget) {
        const made = Reflect.construct(target, args, newTarget) as ArrayBufferView | ArrayBuffer;
        // A view of an existing buffer costs nothing; nor does one of memory that threads share, as a page's wasm heap may be.
        const isView = /\[object (Shared)?ArrayBuffer\]/.test(Object.prototype.toString.call(args[0]));
        bytes += isView ? 0 : made.byteLength;
        return made;
      },
    };
    replace(globalThis, name, new Proxy((globalThis as Wrapped)[name], counting));
  }
  const typedArrayPrototype = Object.getPrototypeOf(Float32ArrayOriginal.prototype) as Wrapped;
  for (const name of copyingMethods) {
    const original = typedArrayPrototype[name] as (...args: unknown[]) => ArrayBufferView;
    replace(typedArrayPrototype, name, function (this: ArrayBufferView, ...args: unknown[]) {
      const made = original.apply(this, args);
      bytes += made.byteLength;
      return made;
    });
  }
  const {wasm} = tf.backend() as unknown as {wasm?: WasmModule};
  if (wasm) {
    const {_malloc: malloc} = wasm;
    replace(wasm, '_malloc', (size: number) => {
      bytes += size;
      return malloc(size);
    });
  }

  try {
    const result = f();
    return {result, bytes};
  } finally {
    undo.reverse().forEach((restore) => restore());
  }
}

const Float32ArrayOriginal = Float32Array;

/** Runs `f`; the bytes that each run of the named kernels took besides its results. */
export function scratchBytes(kernelNames: readonly string[], f: () => void): Record<string, number> {
  const backendName = tf.getBackend();
  const scratch: Record<string, number> = {};
  const originals = kernelNames.map((name) => tf.getKernel(name, backendName));
  for (const kernel of originals) {
    const {kernelName, kernelFunc} = kernel;
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      ...kernel,
      kernelFunc: (params) => {
        const {result, bytes} = countBytes(() => kernelFunc(params));
        const resultBytes = [result].flat().reduce((sum, {shape}) => sum + 4 * sizeOf(shape), 0);
        scratch[kernelName] = Math.max(scratch[kernelName] ?? 0, bytes - resultBytes);
        return result;
      },
    });
  }
  try {
    f();
  } finally {
    for (const kernel of originals) {
      tf.unregisterKernel(kernel.kernelName, backendName);
      tf.registerKernel(kernel);
    }
  }
  return scratch;
}

/** Size of the wasm heap; 0 on other backends. */
export function wasmHeapBytes(): number {
  const {wasm} = tf.backend() as unknown as {wasm?: {HEAPU8: Uint8Array}};
  return wasm ? wasm.HEAPU8.buffer.byteLength : 0;
}
