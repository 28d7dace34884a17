/**
 * Random weights with SIMD, four at a time: custom-ops/wasm/draw.ts, in a memory of its own. Importing this brings it in, wherever the
 * engine has SIMD and a page's policy allows a module; the numbers are the same without.
 */
import {draw} from './backends/wasm/binaries/draw';
import {functionsOn} from './backends/wasm/simd';
import type {MakeDrawer} from './draw';
import {CHUNK, offerDrawer} from './draw';

type Functions = ReturnType<typeof functionsOn>;

/** Where the module writes, behind its state. */
const OUT = 64;

let module: {functions: Functions; buffer: ArrayBuffer} | undefined | null = null;

/** A drawer with SIMD, of which one is used at a time; undefined where there is none. */
export const drawerWithSimd: MakeDrawer = (state) => {
  if (module === null) module = makeModule();
  if (module === undefined) return undefined;
  const {functions, buffer} = module;
  new Uint32Array(buffer).set(state);
  const values = new Float32Array(buffer, OUT, CHUNK);
  const whole = (count: number) => 4 * Math.ceil(count / 4);
  return {
    uniform: (count, low, scale) => {
      functions.uniform(whole(count), low, scale);
      return values.subarray(0, count);
    },
    normal: (count, scale) => {
      functions.normal(whole(count), scale);
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

offerDrawer(drawerWithSimd);
