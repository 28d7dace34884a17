/**
 * The products of few rows on WebGPU, which read the kernel once: 64 columns a workgroup, or by a transposed kernel 16 invocations a column,
 * side by side on a row of the kernel. Few rows are tokens, so these come with a language model and not with a layer, whose steps are done
 * by the product of many rows.
 */
import {defineProgram, read, write} from '../../backends/webgpuProgram';
import {
  THIN_ROWS,
  beginSums,
  partsOfSums,
  putParts,
  sixteenToAnOutput,
  thinUniforms,
  thinVariants,
} from '../webgpuThin';
import type {Thin} from '../webgpuThin';
import {forRows, rowsTogether} from '../wgsl';
import {takeFewRows} from './webgpu';

/** 64 columns of all rows a workgroup, the sums in four interleaved parts. */
const thin = defineProgram<Thin>({
  name: 'Linear (thin)',
  variants: thinVariants(),
  build: ({bias, rows}) => ({
    buffers: {x: read, kernel: read, ...(bias && {bias: read}), y: write},
    uniforms: thinUniforms,
    workgroupSize: 256,
    declarations: partsOfSums(rows, 256),
    main: `
  let own = lane % 64u;
  let column = group * 64u + own;
  ${beginSums(rows)}
  if (column < p.n) {
    for (var i = lane / 64u; i < p.k; i += 4u) {
      let weight = kernel[i * p.n + column];
      ${forRows(rows, (r) => `sum${r} += x[row${r} + i] * weight;`)}
    }
  }
  ${putParts(rows, 256)}
  if (column >= p.n) { return; }
  for (var row = lane / 64u; row < p.m; row += 4u) {
    let at = 256u * row + own;
    let total = (parts[at] + parts[at + 64u]) + (parts[at + 128u] + parts[at + 192u]);
    y[row * p.n + column] = total${bias ? ' + bias[column]' : ''};
  }`,
  }),
});

const thinTransposed = defineProgram<Thin>({
  name: 'Linear (thin, transposed)',
  variants: thinVariants(),
  build: ({bias, rows}) => ({
    buffers: {x: read, kernel: read, ...(bias && {bias: read}), y: write},
    uniforms: thinUniforms,
    workgroupSize: 64,
    declarations: partsOfSums(rows, 64),
    main: sixteenToAnOutput(
      {bias, rows},
      `
    for (var i = lane % 16u; i < p.k; i += 16u) {
      let weight = kernel[column * p.k + i];
      ${forRows(rows, (r) => `sum${r} += x[row${r} + i] * weight;`)}
    }`,
    ),
  }),
});

takeFewRows((gpu, {x, kernel, bias}, transposeKernel) => {
  const [m, k] = x!.shape;
  const n = kernel!.shape[transposeKernel ? 0 : 1];
  const y = gpu.output([m, n]);
  gpu.run(
    transposeKernel ? thinTransposed : thin,
    {bias: bias !== undefined, rows: rowsTogether(m, THIN_ROWS)},
    {
      buffers: {x, kernel, bias, y},
      uniforms: {m, n, k},
      workgroups: Math.ceil(n / (transposeKernel ? 4 : 64)),
    },
  );
  return y;
});
