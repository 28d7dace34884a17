/**
 * The product by packed rows on WebGPU: for the few rows of decoding 16 invocations an output, which read its row side by side, a word of
 * four integers each; more rows of x are multiplied by the unpacked rows.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel} from '../../backends/webgpu';
import {defineProgram, read, readInts, write} from '../../backends/webgpuProgram';
import type {PresentAttr} from '../kernel';
import {byName, runComposed} from '../kernel';
import {THIN_ROWS, partsOfSums, sixteenToAnOutput, thinUniforms, thinVariants} from '../webgpuThin';
import type {Thin} from '../webgpuThin';
import {forRows, fourIntegers, rowsTogether} from '../wgsl';
import type {PackedLinearAttrs, PackedLinearInput} from './kernels';

const thin = defineProgram<Thin>({
  name: 'PackedLinear',
  variants: thinVariants(),
  build: ({bias, rows}) => ({
    buffers: {x: read, words: readInts, scales: read, ...(bias && {bias: read}), y: write},
    uniforms: thinUniforms,
    workgroupSize: 64,
    declarations: `${partsOfSums(rows, 64)}
fn inputs(at: u32) -> vec4<f32> { return vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]); }
${fourIntegers}`,
    main: sixteenToAnOutput(
      {bias, rows},
      `
    let first = column * (p.k / 4u);
    for (var i = lane % 16u; i < p.k / 4u; i += 16u) {
      let weights = fourOf(words[first + i]) * scales[(first + i) / 8u];
      ${forRows(rows, (r) => `sum${r} += dot(inputs(row${r} + 4u * i), weights);`)}
    }`,
    ),
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
