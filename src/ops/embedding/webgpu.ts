/**
 * The embedding on WebGPU. TensorFlow.js's own gradient there adds floats atomically, in an order that differs from run to run. Here
 * every row of the table first links the positions that have its id, in order, and then adds along its chain.
 */
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {defineProgram, read, readInts, write, writeInts} from '../../backends/webgpuProgram';
import type {EmbeddingAttrs} from './kernels';

const lookUp = defineProgram({
  name: 'Embedding',
  variants: [{}],
  build: () => ({
    buffers: {weight: read, ids: readInts, y: write},
    uniforms: {rows: 'u32', channels: 'u32', size: 'u32'},
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let id = ids[i / p.channels];
  var value = 0.0;
  if (id >= 0 && id < i32(p.rows)) { value = weight[u32(id) * p.channels + i % p.channels]; }
  y[i] = value;`,
  }),
});

/** The first position of each row's chain and each position's next one; -1 ends a chain. */
const link = defineProgram({
  name: 'EmbeddingGrad (link)',
  variants: [{}],
  build: () => ({
    buffers: {ids: readInts, first: writeInts, next: writeInts},
    uniforms: {rows: 'u32', positions: 'u32'},
    workgroupSize: 64,
    main: `
  let row = group * 64u + lane;
  if (row >= p.rows) { return; }
  var last = -1;
  for (var position = 0u; position < p.positions; position++) {
    if (ids[position] == i32(row)) {
      if (last < 0) { first[row] = i32(position); } else { next[last] = i32(position); }
      last = i32(position);
    }
  }
  if (last < 0) { first[row] = -1; } else { next[last] = -1; }`,
  }),
});

const addChains = defineProgram({
  name: 'EmbeddingGrad (add)',
  variants: [{}],
  build: () => ({
    buffers: {first: readInts, next: readInts, dy: read, dWeight: write},
    uniforms: {channels: 'u32', size: 'u32'},
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  var sum = 0.0;
  for (var position = first[i / p.channels]; position >= 0; position = next[position]) {
    sum += dy[u32(position) * p.channels + i % p.channels];
  }
  dWeight[i] = sum;`,
  }),
});

registerWebGPUKernel('Embedding', (gpu, [weight, ids], {rows}: EmbeddingAttrs) => {
  const channels = weight.shape[1];
  const y = gpu.output([...ids.shape, channels]);
  const size = sizeOf(y.shape);
  gpu.run(lookUp, {}, {buffers: {weight, ids, y}, uniforms: {rows, channels, size}, workgroups: Math.ceil(size / 64)});
  return [y];
});

registerWebGPUKernel('EmbeddingGrad', (gpu, [ids, dy], {rows}: EmbeddingAttrs) => {
  const channels = dy.shape[dy.shape.length - 1];
  const dWeight = gpu.output([rows, channels]);
  const positions = sizeOf(ids.shape);
  const first = gpu.scratch(rows);
  const next = gpu.scratch(positions);
  gpu.run(link, {}, {buffers: {ids, first, next}, uniforms: {rows, positions}, workgroups: Math.ceil(rows / 64)});
  const size = rows * channels;
  gpu.run(
    addChains,
    {},
    {buffers: {first, next, dy, dWeight}, uniforms: {channels, size}, workgroups: Math.ceil(size / 64)},
  );
  return [dWeight];
});
