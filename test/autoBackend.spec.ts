/** The choice of a backend by trying. */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {autoBackend} from '../src/autoBackend';
import type {MaybeGpuBackend} from '../src/backends/softwareGpu';
import {softwareGpu} from '../src/backends/softwareGpu';

const order = ['webgpu', 'webgl', 'tensorflow', 'wasm', 'cpu'];

describe('autoBackend', () => {
  let before: string;
  beforeEach(() => (before = tf.getBackend()));
  afterEach(async () => {
    await tf.setBackend(before);
  });

  it('takes the first backend that is loaded and computes right, and says why', async () => {
    const tensors = tf.memory().numTensors;
    const {backend, reason, tried} = await autoBackend();
    expect(tf.getBackend()).toBe(backend);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tried.map((trial) => trial.backend)).toEqual(order.slice(0, tried.length));
    expect(tried.map(({works}) => works)).toEqual([...tried.slice(1).map(() => false), true]);
    expect(reason).toMatch(new RegExp(`^${backend}: one scan and its gradient came out right`));
  });

  it('takes wasm rather than a GPU in software, and says so; without wasm, rather that than cpu', async () => {
    const name = softwareGpu(tf.backend() as MaybeGpuBackend);
    const isSoftware = name !== undefined;
    const loaded = new Set([before, 'wasm', 'cpu']);
    pretendLoaded((backend) => loaded.has(backend));
    const first = await autoBackend();
    expect(first.backend).toBe(isSoftware || before === 'cpu' ? 'wasm' : before);
    expect(first.reason.includes(`${before}: put off, as a GPU in software (${name})`)).toBe(isSoftware);

    loaded.delete('wasm');
    const second = await autoBackend();
    expect(second.backend).toBe(isSoftware ? before : before === 'wasm' ? 'cpu' : before);
  });

  it('refuses a name, and leaves the backend as it is; what an event or a promise hands on is none', async () => {
    const auto: (given?: unknown) => ReturnType<typeof autoBackend> = autoBackend;
    await expectAsync(auto('cpu')).toBeRejectedWithError(
      "autoBackend: it takes no name, as it is what chooses; await tf.setBackend('cpu') starts that one",
    );
    expect(tf.getBackend()).toBe(before);
    expect((await Promise.resolve(7).then(auto)).tried.length).toBeGreaterThan(0);
  });

  it('passes over a backend that computes something else', async () => {
    const broken = (await autoBackend()).backend;
    const repair = breakScan(broken);
    try {
      const {backend, reason} = await autoBackend();
      expect(backend).not.toBe(broken);
      expect(reason).toContain(`${broken}: computes the scan wrong`);
    } finally {
      repair();
    }
  });

  it('throws if no backend works, and says what is wrong with each', async () => {
    pretendLoaded((backend) => backend === before);
    const repair = breakScan(before);
    try {
      await expectAsync(autoBackend()).toBeRejectedWithError(
        new RegExp(`^autoBackend: no backend works: .*not loaded.*${before}: computes the scan wrong`),
      );
    } finally {
      repair();
    }
  });
});

/** Hides the backends for which `isLoaded` is false. */
function pretendLoaded(isLoaded: (backend: string) => boolean): void {
  const engine = tf.engine();
  const find = engine.findBackendFactory.bind(engine);
  spyOn(engine, 'findBackendFactory').and.callFake((name) => (isLoaded(name) ? find(name) : null!));
}

/** Makes the scan of a backend wrong; the result puts it right again. */
function breakScan(backendName: string): () => void {
  const {kernelFunc, ...kernel} = tf.getKernel('SelectiveScan', backendName);
  const replace = (by: tf.KernelFunc) => {
    tf.unregisterKernel('SelectiveScan', backendName);
    tf.registerKernel({...kernel, kernelFunc: by});
  };
  replace((params) => {
    const [y, ...rest] = kernelFunc(params) as tf.TensorInfo[];
    return [tf.zeros(y.shape), ...rest];
  });
  return () => replace(kernelFunc);
}

describe('a GPU in software', () => {
  const webgl = (renderer: string, hasExtension = true): MaybeGpuBackend => ({
    gpgpu: {
      gl: {
        RENDERER: 1,
        getExtension: () => (hasExtension ? {UNMASKED_RENDERER_WEBGL: 2} : null),
        getParameter: (name: number) => (name === (hasExtension ? 2 : 1) ? renderer : 'WebKit WebGL'),
      } as unknown as WebGL2RenderingContext,
    },
  });
  const webgpu = (adapterInfo: Partial<GPUAdapterInfo>): MaybeGpuBackend => ({device: {adapterInfo}});

  for (const [backend, expected] of [
    [webgl('ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), SwiftShader driver)'), /SwiftShader/],
    [webgl('llvmpipe (LLVM 15.0.7, 256 bits)', false), /^llvmpipe/],
    [webgl('ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)'), /Basic Render/],
    [webgpu({vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true}), /^google swiftshader$/],
    [webgpu({vendor: '', isFallbackAdapter: true}), /^a fallback adapter$/],
    [{device: {}, adapterInfo: {architecture: 'swiftshader'}}, /^swiftshader$/],
  ] as [MaybeGpuBackend, RegExp][]) {
    it(`is known by its name: ${expected.source}`, () => expect(softwareGpu(backend)).toMatch(expected));
  }

  it('is none of those with the name of another maker, and no backend without a GPU', () => {
    for (const backend of [
      webgl('ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11 vs_5_0 ps_5_0, D3D11)'),
      webgl('Adreno (TM) 650', false),
      webgpu({vendor: 'apple', architecture: 'metal-3', description: '', isFallbackAdapter: false}),
      {},
    ]) {
      expect(softwareGpu(backend)).toBeUndefined();
    }
  });
});
