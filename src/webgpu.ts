/**
 * A WebGPU backend on a device made for this package. The device that TensorFlow.js makes by itself asks for neither `subgroups`
 * nor `shader-f16`, and keeps to 8 storage buffers per stage where the adapter may have more.
 *
 * @packageDocumentation
 */
import * as tf from '@tensorflow/tfjs';
import {WebGPUBackend} from '@tensorflow/tfjs-backend-webgpu';

export {warmup} from './warmup';
export type {WarmupOptions} from './warmup';

/** Options of {@link createWebGPUBackend}. */
export interface WebGPUBackendOptions {
  /** Which GPU to take where there are several; 'high-performance' by default. */
  powerPreference?: GPUPowerPreference;
}

/** Asked for where the adapter has them; tfjs itself uses the last two. */
const features = ['subgroups', 'shader-f16', 'timestamp-query', 'bgra8unorm-storage'];

/** Asked for at the adapter's own value, which may be above the default every device has. */
const limits = [
  'maxBufferSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
] as const;

/**
 * Makes a WebGPU backend and registers it as `webgpu` in place of the one that TensorFlow.js registers, whose tensors are lost:
 * call it before there are any, then `await tf.setBackend('webgpu')`. Should the device be lost, `restartBackend` makes another one.
 *
 * @throws Error if there is no WebGPU here, or no adapter.
 */
export async function createWebGPUBackend(options: WebGPUBackendOptions = {}): Promise<WebGPUBackend> {
  const {powerPreference = 'high-performance'} = options;
  const backend = await onNewDevice(powerPreference);
  let first: WebGPUBackend | undefined = backend;
  const factory = () => {
    const made = first ?? onNewDevice(powerPreference);
    first = undefined;
    return made;
  };
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', factory, 3);
  return backend;
}

async function onNewDevice(powerPreference: GPUPowerPreference): Promise<WebGPUBackend> {
  // The type of `navigator` knows only browsers that have it.
  const gpu = (globalThis as {navigator?: Partial<Navigator>}).navigator?.gpu;
  if (!gpu) {
    throw new Error(
      'createWebGPUBackend: navigator.gpu is missing; WebGPU needs a browser that has it and a secure page (https or localhost)',
    );
  }
  const adapter = await gpu.requestAdapter({powerPreference});
  if (!adapter)
    throw new Error(`createWebGPUBackend: there is no WebGPU adapter for powerPreference '${powerPreference}'`);
  const device = await adapter.requestDevice({
    requiredFeatures: features.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(limits.map((limit) => [limit, adapter.limits[limit]])),
  });
  return new WebGPUBackend(device, adapter.info);
}
