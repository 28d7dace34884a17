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
const browserOnly: readonly TestBackend[] = ['webgl'];

/** A backend, and whether it runs in Node or in headless Chromium. */
export interface TestTarget {
  backend: TestBackend;
  inBrowser: boolean;
}

/** Everything the tests run on, in this order: what takes longest first, so that no core is without work at the end. */
export const testTargets = ['webgl', 'webgpu', 'tensorflow', 'webgpu@chromium', 'cpu', 'wasm', 'wasm@chromium'];

/** The target of a name: that of a backend, followed by `@chromium` for the one in a browser where Node has it too. */
export function testTarget(name: string): TestTarget {
  const [backend, place] = name.split('@');
  if (!(backend in load) || (place ?? 'chromium') !== 'chromium') {
    throw new Error(`--backend takes ${testTargets.join(', ')}, but was given ${name}`);
  }
  const known = backend as TestBackend;
  return {backend: known, inBrowser: place !== undefined || browserOnly.includes(known)};
}

/** Whether this is a browser, and the specs of its backend run in Node as well. */
export const isInNodeToo = (): boolean =>
  typeof document !== 'undefined' && !browserOnly.includes(tf.getBackend() as TestBackend);

/** Backends that quietly run small tensors on the CPU, and the flag that lets them. */
const cpuForwardFlag: Record<string, string> = {
  webgl: 'WEBGL_CPU_FORWARD',
  webgpu: 'WEBGPU_CPU_FORWARD',
};

export type TestBackend = keyof typeof load;

/** Reads TFJS_MAMBA_BACKEND, and throws if it names no backend the tests know. */
export function requestedBackend(): TestBackend {
  const name = process.env['TFJS_MAMBA_BACKEND'];
  if (name === undefined || !(name in load)) {
    throw new Error(`TFJS_MAMBA_BACKEND must be one of ${Object.keys(load).join(', ')}, but is ${name ?? 'not set'}`);
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

/** Runs `work` on TensorFlow.js's `cpu` backend, for its numbers beside those of the backend under test, and goes back to that one. */
export async function onCpu<T>(work: () => Promise<T>): Promise<T> {
  const name = tf.getBackend();
  await tf.setBackend('cpu');
  try {
    assertBackend('cpu');
    return await work();
  } finally {
    await tf.setBackend(name);
    assertBackend(name as TestBackend);
  }
}

/** On webgpu, throws if the numbers of a tensor do not lie in a buffer of the GPU: then something else has computed them. */
export function assertComputedHere(tensors: Record<string, tf.Tensor>): void {
  if (tf.getBackend() !== 'webgpu') return;
  const {tensorMap} = tf.backend() as unknown as {tensorMap: {get(dataId: object): {resource?: unknown}}};
  for (const [name, {dataId, size}] of Object.entries(tensors)) {
    if (size > 0 && !(tensorMap.get(dataId).resource instanceof GPUBuffer)) {
      throw new Error(`${name} was not computed on the GPU`);
    }
  }
}
