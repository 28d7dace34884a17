/**
 * The backend a test process runs on. `tf.setBackend` resolves to false without throwing when a backend cannot start and
 * leaves another one active, so this module looks at what is really there, and every spec is checked again afterwards
 * (setup.ts): numbers of one backend must never pass as those of another.
 */
import * as tf from '@tensorflow/tfjs';

/** Makes each backend available to TensorFlow.js; what must be set up before the backend's own import goes here too. */
const load = {
  cpu: async () => {},
  wasm: async () => {
    await import('@tensorflow/tfjs-backend-wasm');
  },
  tensorflow: async () => {
    const {backendInfo} = await import('../../src/node');
    const {nativeKernels, hint} = backendInfo();
    if (nativeKernels.length === 0) throw new Error(hint);
  },
  webgpu: async () => {
    if (typeof document === 'undefined') (await import('./dawn')).installDawn();
    await import('@tensorflow/tfjs-backend-webgpu');
  },
  webgl: async () => {}, // comes with @tensorflow/tfjs
};

/** Backends that only a browser has. */
export const browserBackends: readonly TestBackend[] = ['webgl'];

/** Backends that quietly run small tensors on the CPU, and the flag that lets them. */
const cpuForwardFlag: Record<string, string> = {
  webgl: 'WEBGL_CPU_FORWARD',
  webgpu: 'WEBGPU_CPU_FORWARD',
};

export type TestBackend = keyof typeof load;

/** Every backend that the tests run on. */
export const testBackends = Object.keys(load) as TestBackend[];

/** Reads TFJS_MAMBA_BACKEND, and throws if it names no backend the tests know. */
export function requestedBackend(): TestBackend {
  const name = process.env['TFJS_MAMBA_BACKEND'];
  if (name === undefined || !(name in load)) {
    throw new Error(`TFJS_MAMBA_BACKEND must be one of ${testBackends.join(', ')}, but is ${name ?? 'not set'}`);
  }
  return name as TestBackend;
}

/** Starts the backend, or throws. */
export async function startBackend(name: TestBackend): Promise<void> {
  await load[name]();
  const flag = cpuForwardFlag[name];
  if (flag !== undefined) tf.env().set(flag, false);
  const started = await tf.setBackend(name);
  await tf.ready();
  if (!started || tf.getBackend() !== name) {
    throw new Error(`Backend ${name} did not start: TensorFlow.js is on ${tf.getBackend()}`);
  }
}

/**
 * Where a GPU reports errors that nobody asked for, such as a shader that does not compile: without this they would be seen by no
 * spec. The result waits for the work under way and takes what has been reported.
 */
export function watchForGpuErrors(): () => Promise<string[]> {
  const {device} = tf.backend() as unknown as {device?: GPUDevice};
  let errors: string[] = [];
  device?.addEventListener('uncapturederror', ({error}) => errors.push(error.message));
  return async () => {
    await device?.queue.onSubmittedWorkDone();
    const reported = errors;
    errors = [];
    return reported;
  };
}

/** Throws if a spec has left the backend that it was started on. */
export function assertBackend(name: TestBackend): void {
  const current = tf.getBackend();
  if (current !== name) {
    throw new Error(`The spec was to run on ${name}, but left TensorFlow.js on ${current}`);
  }
}
