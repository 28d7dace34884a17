/**
 * The product of few rows by a transposed kernel on WebGPU, 16 invocations a column, which read a row of the kernel side by side. It is
 * what a token's head is, so it comes with a language model and not with a layer, which would do it by the product of many rows.
 */
import {defineProgram, read, write} from '../../backends/webgpuProgram';
import {partsOfSums, sixteenToAnOutput, thinUniforms, thinVariants} from '../webgpuThin';
import type {Thin} from '../webgpuThin';
import {forRows} from '../wgsl';
import {takeThinTransposed} from './webgpu';

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

takeThinTransposed(thinTransposed);
