/** Unpacking on WebGPU: an invocation a word. */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, readInts, write} from '../../backends/webgpuProgram';
import {fourIntegers} from '../wgsl';
import {GROUP} from './kernels';

const unpack = defineProgram<{looksUp: boolean}>({
  name: 'UnpackRows',
  variants: combinations({looksUp: [false, true]}),
  build: ({looksUp}) => ({
    buffers: {words: readInts, scales: read, ...(looksUp && {ids: readInts}), rows: write},
    uniforms: {size: 'u32', columns: 'u32', count: 'u32'},
    declarations: fourIntegers,
    main: `
  var at = i;
  var isRow = true;
  ${looksUp ? `let id = ids[i / p.columns]; isRow = id >= 0 && id < i32(p.count); at = u32(id) * p.columns + i % p.columns;` : ''}
  var values = vec4<f32>();
  if (isRow) { values = fourOf(words[at]) * scales[at / 8u]; }
  rows[4u * i] = values.x;
  rows[4u * i + 1u] = values.y;
  rows[4u * i + 2u] = values.z;
  rows[4u * i + 3u] = values.w;`,
  }),
});

/** All rows, or those that ids name; `lead` is the shape of the result but its last axis. */
function run(gpu: Gpu, words: TensorInfo, scales: TensorInfo, lead: number[], ids?: TensorInfo): TensorInfo[] {
  const columns = words.shape[words.shape.length - 1];
  const size = sizeOf(lead) * columns;
  const rows = gpu.output([...lead, GROUP * scales.shape[scales.shape.length - 1]]);
  gpu.run(
    unpack,
    {looksUp: ids !== undefined},
    {
      buffers: {words, scales, ...(ids && {ids}), rows},
      uniforms: {size, columns, count: scales.shape[0]},
    },
  );
  return [rows];
}

registerWebGPUKernel('UnpackRows', (gpu, [words, scales]) => run(gpu, words, scales, scales.shape.slice(0, -1)));
registerWebGPUKernel('LookUpRows', (gpu, [words, scales, ids]) => run(gpu, words, scales, ids.shape, ids));
