/**
 * The entry point `tfjs-mamba/webgpu`, on Dawn's null backend: a WebGPU implementation that checks every call and computes nothing.
 * It runs in a process of its own, because it has to be installed before TensorFlow.js is loaded.
 */
import {execFileSync} from 'node:child_process';
import {resolve} from 'node:path';

const root = resolve(import.meta.dirname, '..');

const withWebGPU = `
  import {create, globals} from 'webgpu';
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null']);
  Object.defineProperty(globalThis, 'navigator', {value: {userAgent: 'node', gpu}, configurable: true});
`;

/** Runs TypeScript that may call `print` once, and returns what it printed. */
function run(code: string): unknown {
  const program = `${code}\nfunction print(value) { console.log(JSON.stringify(value)); process.exit(0); }`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, args, {cwd: root, encoding: 'utf8', stdio: 'pipe'}));
}

describe('createWebGPUBackend', () => {
  it('registers a backend on a device with the features and limits of the adapter', () => {
    const found = run(`${withWebGPU}
      const tf = await import('@tensorflow/tfjs');
      const {createWebGPUBackend} = await import('./src/webgpu.ts');
      const backend = await createWebGPUBackend();
      const {limits} = await gpu.requestAdapter();
      await tf.setBackend('webgpu');
      print([
        tf.getBackend(), tf.backend() === backend,
        backend.device.features.has('subgroups'), backend.device.features.has('shader-f16'),
        backend.device.limits.maxStorageBuffersPerShaderStage === limits.maxStorageBuffersPerShaderStage,
        backend.device.limits.maxBufferSize === limits.maxBufferSize,
        tf.add([1, 2], [3, 4]).shape,
      ]);
    `);
    expect(found).toEqual(['webgpu', true, true, true, true, true, [2]]);
  });

  it('does without the features that the adapter has not', () => {
    const found = run(`${withWebGPU}
      const request = gpu.requestAdapter.bind(gpu);
      gpu.requestAdapter = async (options) => {
        const adapter = await request(options);
        return {features: new Set(), limits: adapter.limits, info: adapter.info, requestDevice: (d) => adapter.requestDevice(d)};
      };
      const {createWebGPUBackend} = await import('./src/webgpu.ts');
      const {device} = await createWebGPUBackend();
      print([device.features.has('subgroups'), device.features.has('shader-f16')]);
    `);
    expect(found).toEqual([false, false]);
  });

  it('says what is missing', () => {
    const messages = run(`
      Object.defineProperty(globalThis, 'navigator', {value: {userAgent: 'node'}, configurable: true});
      const {createWebGPUBackend} = await import('./src/webgpu.ts');
      const message = () => createWebGPUBackend().then(() => 'none', (error) => error.message);
      const withoutGpu = await message();
      navigator.gpu = {requestAdapter: async () => null};
      print([withoutGpu, await message()]);
    `) as string[];
    expect(messages[0]).toContain('navigator.gpu is missing');
    expect(messages[1]).toContain("no WebGPU adapter for powerPreference 'high-performance'");
  });
});
