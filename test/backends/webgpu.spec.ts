/**
 * What only the `webgpu` backend has: pipelines, shaders that a device does not take, and devices that are lost. The specs of the ops,
 * layers and models run on it too.
 */
import * as tf from '@tensorflow/tfjs';
import {backupWeights, rmsNorm} from '../../src';
import {Gpu, registerWebGPUKernel} from '../../src/backends/webgpu';
import {pipelinesReady} from '../../src/backends/webgpuAhead';
import type {Program, Variant} from '../../src/backends/webgpuProgram';
import {write} from '../../src/backends/webgpuProgram';
import {linear} from '../../src/ops';
import type {Arrays} from '../support/arrays';
import {normal, seededRandom, toTensor} from '../support/arrays';
import {expectSurvival, scanOnes, smallModel} from './gpu';

interface WebGPUBackend extends tf.KernelBackend {
  device: GPUDevice;
}

/** The device of the current backend. */
const device = () => (tf.backend() as WebGPUBackend).device;

/** A program that writes what its variant says. */
function constant(name: string): Program<{value: number | string}> {
  return {
    name,
    variants: [],
    build: ({value}: Variant) => ({
      buffers: {y: write},
      uniforms: {size: 'u32'},
      workgroupSize: 1,
      main: typeof value === 'number' ? `y[0] = f32(p.size) * ${value}.0;` : `y[0] = -${value}.0;`,
    }),
  };
}

let kernels = 0;

/** Runs programs of one output and uniform as a kernel of their own; the numbers they write. */
async function run(...calls: [Program<{value: number | string}>, number | string][]): Promise<number[]> {
  const name = `Spec${kernels++}`;
  registerWebGPUKernel(name, (gpu: Gpu) =>
    calls.map(([program, value]) => {
      const y = gpu.output([1]);
      gpu.run(program, {value}, {buffers: {y}, uniforms: {size: 3}, workgroups: 1});
      return y;
    }),
  );
  const kernel = tf.getKernel(name, 'webgpu');
  if (tf.getBackend() !== 'webgpu') tf.registerKernel({...kernel, backendName: tf.getBackend()});
  const outputs = tf.engine().runKernel<tf.Tensor[]>(name, {}, {});
  const values = await Promise.all(outputs.map((y) => y.data()));
  tf.dispose(outputs);
  return values.map(([value]) => value);
}

describe('few rows on webgpu', () => {
  it('are multiplied together as each is alone, bit for bit', async () => {
    const random = seededRandom(5);
    const kernels = [toTensor(normal(random, [300, 70])), toTensor(normal(random, [70, 300]))];
    const bias = toTensor(normal(random, [70]));
    for (let rows = 2; rows <= 8; rows++) {
      const x = toTensor(normal(random, [rows, 300]));
      for (const [i, kernel] of kernels.entries()) {
        const args = {kernel, bias, transposeKernel: i === 1};
        const together = linear({x, ...args});
        const alone = tf.tidy(() => tf.concat(tf.split(x, rows).map((row) => linear({x: row, ...args}))));
        expect(await together.data())
          .withContext(`${rows} rows`)
          .toEqual(await alone.data());
        tf.dispose([together, alone]);
      }
      tf.dispose(x);
    }
    tf.dispose([kernels, bias]);
  });
});

describe('a product of many rows on webgpu', () => {
  it('has the same bits in large tiles, which many rows and columns have, and in small ones', async () => {
    const random = seededRandom(7);
    const [x, kernel, dy] = [
      [520, 1030],
      [1030, 19],
      [520, 19],
    ].map((shape) => toTensor(normal(random, shape)) as tf.Tensor2D);
    const run = (x: tf.Tensor, kernel: tf.Tensor) => linear({x, kernel});
    const [dx, dKernel] = tf.grads(run)([x, kernel], dy);
    const few = tf.tidy(() => {
      const [dx] = tf.grads(run)([tf.slice(x, 0, 100), kernel], tf.slice(dy, 0, 100));
      return {
        dx,
        dKernel: run(tf.transpose(x), dy),
        y: linear({x: tf.slice(dy, 0, 100), kernel, transposeKernel: true}),
      };
    });
    const y = linear({x: dy, kernel, transposeKernel: true});
    const whole = tf.tidy(() => ({dx: tf.slice(dx, 0, 100), dKernel: tf.clone(dKernel), y: tf.slice(y, 0, 100)}));
    for (const name of ['dx', 'dKernel', 'y'] as const) {
      const [one, other] = await Promise.all([whole[name].data(), few[name].data()]);
      expect(one.every((value, i) => value === other[i]))
        .withContext(name)
        .toBeTrue();
    }
    tf.dispose([x, kernel, dy, dx, dKernel, y, few, whole]);
  });

  // Of 19 terms, 70 rows and 67 columns no tile is full: what is read past the end of a row is the next row, or a part of it.
  for (const transposeKernel of [false, true]) {
    it(`keeps what is infinite to its own row and column${transposeKernel ? ', transposed' : ''}`, async () => {
      const random = seededRandom(6);
      const [x, kernel, dy] = [[70, 19], transposeKernel ? [67, 19] : [19, 67], [70, 67]].map((shape) =>
        normal(random, shape),
      );
      const infinite = (array: Arrays[string], at: (row: number, column: number) => boolean) => {
        const [, columns] = array.shape;
        const values = array.values.map((value, i) => (at(Math.floor(i / columns), i % columns) ? Infinity : value));
        return toTensor({...array, values}) as tf.Tensor2D;
      };
      const finite = async (result: tf.Tensor, row: number, column: number) => {
        const [, columns] = result.shape;
        const values = await result.data();
        return values.every(
          (value, i) => Math.floor(i / columns) === row || i % columns === column || Number.isFinite(value),
        );
      };
      const run = (x: tf.Tensor, kernel: tf.Tensor) => linear({x, kernel, transposeKernel});
      const [a, b, c] = [
        infinite(x, (row) => row === 1),
        infinite(kernel, (row, column) => (transposeKernel ? row : column) === 2),
        infinite(dy, (row) => row === 1),
      ];
      const y = run(a, b);
      const [dx] = tf.grads(run)([toTensor(x), toTensor(kernel)], c);
      const [, dKernel] = tf.grads(run)([infinite(x, (_, column) => column === 3), toTensor(kernel)], toTensor(dy));
      expect(await finite(y, 1, 2)).toBeTrue();
      expect(await finite(dx, 1, -1)).toBeTrue();
      expect(await finite(dKernel, transposeKernel ? -1 : 3, transposeKernel ? 3 : -1)).toBeTrue();
      tf.dispose([a, b, c, y, dx, dKernel]);
    });
  }
});

describe('pipelines of webgpu', () => {
  it('are not shared by programs of one name, nor by variants that read alike', async () => {
    const [first, second] = [constant('same'), {...constant('same'), build: () => constant('').build({value: 7})}];
    expect(await run([first, 1], [second, 1], [first, '1'], [first, 1])).toEqual([3, 21, -1, 3]);
  });

  it('are made once for a variant, whatever the shape', async () => {
    tf.dispose([scanOnes(100, 5), scanOnes(190, 5)]); // in one pass, and in chunks
    const create = spyOn(device(), 'createComputePipeline').and.callThrough();
    const scans = [scanOnes(201, 5), scanOnes(64, 131), scanOnes(33, 1)];
    await Promise.all(scans.map(({y}) => y.data()));
    tf.dispose(scans);
    expect(create.calls.allArgs().map(([{label}]) => label)).toEqual([]);
  });

  it('read the numbers of their own call, used again or not', async () => {
    const x = tf.tensor2d([[3, 4]]);
    const weight = tf.tensor1d([1, 1]);
    const norms: number[] = [];
    for (const epsilon of [0.5, 0.5, 0.5, 100, 0.5, 3, 100]) {
      const {y} = rmsNorm({x, weight, epsilon});
      norms.push((await y.data())[0]);
      y.dispose();
    }
    tf.dispose([x, weight]);
    const expected = [0.5, 0.5, 0.5, 100, 0.5, 3, 100].map((epsilon) => 3 / Math.sqrt(12.5 + epsilon));
    norms.forEach((norm, i) => expect(norm).toBeCloseTo(expected[i], 6));
  });
});

describe('a WebGPU device of its own', () => {
  const name = 'webgpu with a device of its own';
  let before: string;

  beforeEach(async () => {
    before = tf.getBackend();
    const Backend = tf.backend().constructor as new (device: GPUDevice, info: GPUAdapterInfo) => WebGPUBackend;
    const factory = async () => {
      const adapter = (await navigator.gpu.requestAdapter())!;
      return new Backend(await adapter.requestDevice(), adapter.info);
    };
    tf.registerBackend(name, factory, 0);
    if (tf.getKernelsForBackend(name).length === 0) tf.copyRegisteredKernels(before, name);
    await tf.setBackend(name);
  });

  afterEach(async () => {
    const own = device();
    tf.removeBackend(name);
    await tf.setBackend(before);
    own.destroy();
  });

  const wrong: Program<{value: number | string}> = {
    ...constant('a wrong program'),
    build: () => ({buffers: {y: write}, uniforms: {size: 'u32'}, workgroupSize: 1, main: 'y[0] = u32(p.size);'}),
  };

  it('that does not take a shader ahead of time says so too', async () => {
    tf.env().set('WEBGPU_ENGINE_COMPILE_ONLY', true);
    const gpu = new Gpu(tf.backend() as never, 'Spec');
    gpu.run(wrong, {value: 1}, {buffers: {}, uniforms: {}, workgroups: 1});
    tf.env().set('WEBGPU_ENGINE_COMPILE_ONLY', false);
    const reason = /^a wrong program: its shader is not valid: [^]*line \d+: /;
    await expectAsync(pipelinesReady(tf.backend() as never)).toBeRejectedWithError(reason);
    expect(() => scanOnes(3, 2)).toThrowError(reason);
  });

  it('that does not take a shader is reported by the read and by the next kernel, which name the program', async () => {
    await expectAsync(run([wrong, 1])).toBeRejectedWithError(
      /^a wrong program: its shader is not valid: [^]*line \d+: /,
    );
    expect(() => scanOnes(3, 2)).toThrowError(/^a wrong program: its shader is not valid/);
  });

  it('whose limits a kernel exceeds is spared the call, and the error names the kernel and the limit', () => {
    const limits = {maxStorageBufferBindingSize: 256, maxComputeWorkgroupsPerDimension: 4};
    Object.defineProperty(device(), 'limits', {value: limits, configurable: true});
    const scan = () => scanOnes(100, 5);
    expect(scan).toThrowError(
      /^SelectiveScan: a tensor of \d+ bytes is more than this WebGPU device can bind, 256 bytes$/,
    );
    limits.maxStorageBufferBindingSize = 2 ** 27;
    const x = tf.ones([17, 1]);
    const weight = tf.ones<tf.Rank.R1>([1]);
    expect(() => rmsNorm({x, weight})).toThrowError(
      /^RmsNorm: 17 workgroups are more than this WebGPU device can run$/,
    );
    tf.dispose([x, weight]);
  });

  it('that is lost is reported, and survived by a model: on a new one it predicts what it did, and trains', async () => {
    await expectSurvival(async ({model}) => {
      const lost = device();
      lost.destroy();
      await lost.lost;
      const reason = /^The WebGPU device was lost \(destroyed\): .*restartBackend\(\)/;
      expect(() => scanOnes(20, 3)).toThrowError(reason);
      await expectAsync(model.getWeights()[0].data()).toBeRejectedWithError(reason);
    }, device);
  });

  it('gives its model away: with a backup the model goes to another backend, and nothing is read in a hurry', async () => {
    const {model, predict} = smallModel();
    const here = await predict();
    const backup = await backupWeights(model);
    await tf.setBackend('cpu');
    backup.restore();
    const there = await predict();
    model.dispose();
    await tf.setBackend(name);
    there.forEach((y, i) => expect(y).toBeCloseTo(here[i], 5));
  });
});
