/**
 * Random weights with SIMD, four at a time: custom-ops/wasm/draw.ts, in a memory of its own. Importing this brings it in, wherever the
 * engine has SIMD and a page's policy allows a module; the numbers are the same without. On `wasm` they go straight to TensorFlow.js's heap.
 */
import * as tf from '@tensorflow/tfjs';
import {draw} from './backends/wasm/binaries/draw';
import type {WasmBackend} from './backends/wasm/heap';
import {makeOutputs} from './backends/wasm/heap';
import {functionsOn} from './backends/wasm/simd';
import type {MakeDrawer, Place} from './draw';
import {CHUNK, offerDrawer} from './draw';
import {normalTable} from './normal';

type Functions = ReturnType<typeof functionsOn>;

/** Where the module writes, behind its state, and where it reads the cubics of the normal distribution. */
const OUT = 64;
const TABLE = OUT + 4 * CHUNK;

let module: {functions: Functions; buffer: ArrayBuffer} | undefined | null = null;

/** A drawer with SIMD, of which one is used at a time; undefined where there is none. */
export const drawerWithSimd: MakeDrawer = (state) => {
  if (module === null) module = makeModule();
  if (module === undefined) return undefined;
  const {functions, buffer} = module;
  new Uint32Array(buffer).set(state);
  const values = new Float32Array(buffer, OUT, CHUNK);
  let tableOf: number | undefined;
  const whole = (count: number) => 4 * Math.ceil(count / 4);
  return {
    uniform: (count, low, scale) => {
      functions.uniform(whole(count), low, scale);
      return values.subarray(0, count);
    },
    normal: (count, deviation) => {
      if (deviation !== tableOf) new Float32Array(buffer, TABLE).set(normalTable((tableOf = deviation)));
      functions.normal(whole(count));
      return values.subarray(0, count);
    },
  };
};

function makeModule(): NonNullable<typeof module> | undefined {
  try {
    const memory = new WebAssembly.Memory({initial: 1, maximum: 1});
    return {functions: functionsOn(memory, draw), buffer: memory.buffer};
  } catch {
    return undefined;
  }
}

const onHeap: Place = (shape, fill) => {
  const backend = tf.backend() as unknown as WasmBackend;
  if (tf.getBackend() !== 'wasm') return undefined;
  const [info] = makeOutputs(backend, 'mambaLM', [], [{shape}]);
  fill(backend.typedArrayFromHeap(info));
  return tf.engine().makeTensorFromTensorInfo(info);
};

offerDrawer(drawerWithSimd, onHeap);
