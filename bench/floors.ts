/** What the WebGPU device can do at best: bytes and exponentials per second, by programs that do nothing else. */
import type {TensorInfo} from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import {registerWebGPUKernel, sizeOf} from '../src/backends/webgpu';
import {defineProgram, readQuads, writeQuads} from '../src/backends/webgpuProgram';

/** Exponentials of each number in `exponentialRate`. */
const CHAIN = 64;

const copy = defineProgram({
  name: 'bench (copy)',
  variants: [{}],
  build: () => ({
    buffers: {x: readQuads, y: writeQuads},
    uniforms: {size: 'u32'},
    workgroupSize: 256,
    main: `
  let i = group * 256u + lane;
  if (i >= p.size) { return; }
  y[i] = x[i] + vec4f(1.0);`,
  }),
});

const exponentials = defineProgram({
  name: 'bench (exp)',
  variants: [{}],
  build: () => ({
    buffers: {x: readQuads, y: writeQuads},
    uniforms: {size: 'u32'},
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  var value = x[i];
  for (var k = 0u; k < ${CHAIN}u; k++) { value = exp(-value); }
  y[i] = value;`,
  }),
});

registerWebGPUKernel('BenchCopy', (gpu, [x]: TensorInfo[]) => {
  const y = gpu.output(x.shape);
  const size = sizeOf(x.shape) / 4;
  gpu.run(copy, {}, {buffers: {x, y}, uniforms: {size}, workgroups: Math.ceil(size / 256)});
  return [y];
});

registerWebGPUKernel('BenchExp', (gpu, [x]: TensorInfo[]) => {
  const y = gpu.output(x.shape);
  const size = sizeOf(x.shape) / 4;
  gpu.run(exponentials, {}, {buffers: {x, y}, uniforms: {size}, workgroups: Math.ceil(size / 64)});
  return [y];
});

async function bestMs(kernel: string, x: tf.Tensor): Promise<number> {
  let best = Infinity;
  for (let run = 0; run < 6; run++) {
    const {kernelMs} = (await tf.time(() => {
      tf.dispose(tf.engine().runKernel(kernel, [x] as unknown as tf.NamedTensorMap));
    })) as tf.TimingInfo & {kernelMs: number};
    best = Math.min(best, kernelMs);
  }
  return best;
}

/** Bytes per second, those read and those written. */
export async function bandwidth(): Promise<number> {
  const x = tf.fill([1 << 25], 0.5);
  const ms = await bestMs('BenchCopy', x);
  x.dispose();
  return (2 * 4 * 2 ** 25 * 1e3) / ms;
}

/** Exponentials per second. */
export async function exponentialRate(): Promise<number> {
  const size = 1 << 20;
  const x = tf.fill([size], 0.5);
  const ms = await bestMs('BenchExp', x);
  x.dispose();
  return (size * CHAIN * 1e3) / ms;
}
