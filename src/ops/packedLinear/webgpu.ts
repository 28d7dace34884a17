/**
 * The product by packed rows on WebGPU: for the few rows of decoding 16 invocations an output, which read its row side by side, a word of
 * four integers each; more rows of x are multiplied by the unpacked rows.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel} from '../../backends/webgpu';
import {combinations, defineProgram, read, readInts, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName, runComposed} from '../kernel';
import {forRows, fourIntegers, rowsTogether} from '../wgsl';
import type {PackedLinearAttrs, PackedLinearInput} from './kernels';

/** Up to this many rows of x are multiplied without unpacking. */
const THIN_ROWS = 8;

/** Where row r begins; one that is not there is the last again. */
const rowAt = (r: number) => (r === 0 ? '0u' : `min(${r}u, p.m - 1u) * p.k`);

const thin = defineProgram<{bias: boolean; rows: number}>({
  name: 'PackedLinear',
  variants: combinations({bias: [false, true], rows: [1, 2, 4, THIN_ROWS]}),
  build: ({bias, rows}) => ({
    buffers: {x: read, words: readInts, scales: read, ...(bias && {bias: read}), y: write},
    uniforms: {m: 'u32', n: 'u32', k: 'u32'},
    workgroupSize: 64,
    declarations: `var<workgroup> parts: array<f32, ${64 * rows}>;
fn inputs(at: u32) -> vec4<f32> { return vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]); }
${fourIntegers}`,
    main: `
  let column = group * 4u + lane / 16u;
  ${forRows(rows, (r) => `let row${r} = ${rowAt(r)}; var sum${r} = 0.0;`)}
  if (column < p.n) {
    let first = column * (p.k / 4u);
    for (var i = lane % 16u; i < p.k / 4u; i += 16u) {
      let weights = fourOf(words[first + i]) * scales[(first + i) / 8u];
      ${forRows(rows, (r) => `sum${r} += dot(inputs(row${r} + 4u * i), weights);`)}
    }
  }
  ${forRows(rows, (r) => `parts[${64 * r}u + lane] = sum${r};`)}
  workgroupBarrier();
  let row = lane % 16u;
  if (row < p.m && column < p.n) {
    let first = 64u * row + lane - row;
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) { total += parts[first + i]; }
    y[row * p.n + column] = total${bias ? ' + bias[column]' : ''};
  }`,
  }),
});

registerWebGPUKernel('PackedLinear', (gpu, inputs, attrs: PackedLinearAttrs & PresentAttr) => {
  const named = byName<PackedLinearInput, TensorInfo>(inputs, attrs.present);
  const [x, words, scales, bias] = [named.x!, named.words!, named.scales!, named.bias];
  const [m, k] = x.shape;
  if (m > THIN_ROWS) return runComposed('PackedLinear', {inputs, attrs});
  const n = scales.shape[0];
  const y = gpu.output([m, n]);
  gpu.run(
    thin,
    {bias: bias !== undefined, rows: rowsTogether(m, THIN_ROWS)},
    {
      buffers: {x, words, scales, ...(bias && {bias}), y},
      uniforms: {m, n, k},
      workgroups: Math.ceil(n / 4),
    },
  );
  return [y];
});
