/**
 * The embedding on WebGPU. TensorFlow.js's own gradient there adds floats atomically, in an order that differs from run to run. Here
 * every row of the table adds along a chain of the positions that have its id, in their order.
 *
 * The chains are made in two steps: positions are put at the heads of their rows' lists, in whatever order they come; then each walks
 * its list and finds the one that follows it. What is in a list does not depend on the order, so neither does the result, and the work
 * is that of the rows and of the positions, squared only among those of one id.
 */
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {atomicInts, defineProgram, read, readInts, write, writeInts} from '../../backends/webgpuProgram';
import type {EmbeddingAttrs} from './kernels';

const lookUp = defineProgram({
  name: 'Embedding',
  variants: [{}],
  build: () => ({
    buffers: {weight: read, ids: readInts, y: write},
    uniforms: {rows: 'u32', channels: 'u32', size: 'u32'},
    main: `
  let id = ids[i / p.channels];
  var value = 0.0;
  if (id >= 0 && id < i32(p.rows)) { value = weight[u32(id) * p.channels + i % p.channels]; }
  y[i] = value;`,
  }),
});

const clear = defineProgram({
  name: 'EmbeddingGrad (clear)',
  variants: [{}],
  build: () => ({
    buffers: {head: writeInts},
    uniforms: {rows: 'u32'},
    workgroupSize: 64,
    main: `
  let row = group * 64u + lane;
  if (row < p.rows) { head[row] = -1; }`,
  }),
});

/** The last position to come is each row's `head`; `link` leads on to those that came before it, and -1 ends the list. */
const list = defineProgram({
  name: 'EmbeddingGrad (list)',
  variants: [{}],
  build: () => ({
    buffers: {ids: readInts, head: atomicInts, link: writeInts},
    uniforms: {rows: 'u32', positions: 'u32'},
    workgroupSize: 64,
    main: `
  let position = group * 64u + lane;
  if (position >= p.positions) { return; }
  let id = ids[position];
  if (id >= 0 && id < i32(p.rows)) { link[position] = atomicExchange(&head[id], i32(position)); }`,
  }),
});

/** Each row's first position, and behind each position the next of its row; -1 ends the chain. */
const order = defineProgram({
  name: 'EmbeddingGrad (order)',
  variants: [{}],
  build: () => ({
    buffers: {ids: readInts, head: readInts, link: readInts, first: writeInts, next: writeInts},
    uniforms: {rows: 'u32', positions: 'u32'},
    workgroupSize: 64,
    main: `
  let position = group * 64u + lane;
  if (position >= p.positions) { return; }
  let id = ids[position];
  if (id < 0 || id >= i32(p.rows)) { return; }
  let own = i32(position);
  var isFirst = true;
  var following = i32(p.positions);
  for (var other = head[id]; other >= 0; other = link[other]) {
    if (other < own) { isFirst = false; }
    if (other > own) { following = min(following, other); }
  }
  if (isFirst) { first[id] = own; }
  next[position] = select(following, -1, following == i32(p.positions));`,
  }),
});

const addChains = defineProgram({
  name: 'EmbeddingGrad (add)',
  variants: [{}],
  build: () => ({
    buffers: {head: readInts, first: readInts, next: readInts, dy: read, dWeight: write},
    uniforms: {channels: 'u32', size: 'u32'},
    main: `
  let row = i / p.channels;
  var position = -1;
  if (head[row] >= 0) { position = first[row]; }
  var sum = 0.0;
  for (; position >= 0; position = next[position]) {
    sum += dy[u32(position) * p.channels + i % p.channels];
  }
  dWeight[i] = sum;`,
  }),
});

registerWebGPUKernel('Embedding', (gpu, [weight, ids], {rows}: EmbeddingAttrs) => {
  const channels = weight.shape[1];
  const y = gpu.output([...ids.shape, channels]);
  const size = sizeOf(y.shape);
  gpu.run(lookUp, {}, {buffers: {weight, ids, y}, uniforms: {rows, channels, size}});
  return [y];
});

registerWebGPUKernel('EmbeddingGrad', (gpu, [ids, dy], {rows}: EmbeddingAttrs) => {
  const channels = dy.shape[dy.shape.length - 1];
  const dWeight = gpu.output([rows, channels]);
  const positions = sizeOf(ids.shape);
  const [head, first] = [gpu.scratch(rows), gpu.scratch(rows)];
  const [link, next] = [gpu.scratch(positions), gpu.scratch(positions)];
  const size = rows * channels;
  const uniforms = {rows, positions};
  const groups = (count: number) => Math.ceil(count / 64);
  gpu.run(clear, {}, {buffers: {head}, uniforms: {rows}, workgroups: groups(rows)});
  gpu.run(list, {}, {buffers: {ids, head, link}, uniforms, workgroups: groups(positions)});
  gpu.run(order, {}, {buffers: {ids, head, link, first, next}, uniforms, workgroups: groups(positions)});
  const chains = {head, first, next, dy, dWeight};
  gpu.run(addChains, {}, {buffers: chains, uniforms: {channels, size}});
  return [dWeight];
});
