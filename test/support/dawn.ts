/**
 * WebGPU in Node: Dawn, Chromium's implementation, from the npm package `webgpu`. It needs a Vulkan driver: that of the
 * machine's GPU if TFJS_MAMBA_GPU is set, otherwise SwiftShader, the software driver that Debian's package `chromium` brings.
 */
import {existsSync} from 'node:fs';
import {create, globals} from 'webgpu';
import {noZeros} from './dawnToggles';

const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';

function chooseDriver(): void {
  if (process.env['TFJS_MAMBA_GPU']) return;
  if (!existsSync(swiftShader)) {
    throw new Error(`The webgpu specs need a Vulkan driver; there is none at ${swiftShader} (npm run setup:browser)`);
  }
  process.env['VK_ICD_FILENAMES'] = swiftShader;
}

/** Makes `navigator.gpu` and the GPU globals; to be called before TensorFlow.js's webgpu package is imported, which looks for them. */
export function installDawn(): void {
  chooseDriver();
  Object.assign(globalThis, globals);
  // Timestamps would be rounded to 65 µs, longer than most kernels take.
  const gpu = create(['disable-dawn-features=timestamp_quantization', `enable-dawn-features=${noZeros}`]);
  Object.defineProperty(globalThis, 'navigator', {value: {gpu}, configurable: true});
}

/** Held, because Dawn fails when it is collected before its devices. */
let nullGpu: GPU | undefined;

/** A device on Dawn's null backend: it compiles and validates everything and runs nothing, so it needs no driver. */
export async function nullDevice(requiredFeatures: GPUFeatureName[] = []): Promise<GPUDevice> {
  nullGpu ??= create(['backend=null']);
  const adapter = await nullGpu.requestAdapter();
  if (!adapter) throw new Error('Dawn has no null backend');
  return adapter.requestDevice({requiredFeatures});
}
