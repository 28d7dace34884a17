/**
 * The cross entropy on WebGPU: a workgroup per row, then one workgroup that adds the rows. The number of rows that count is found on
 * the device, where the labels are.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel} from '../../backends/webgpu';
import {defineProgram, read, readInts, write} from '../../backends/webgpuProgram';
import {expm1Wgsl, workgroupMaxWgsl, workgroupSumWgsl} from '../wgsl';
import type {CrossEntropyAttrs} from './kernels';

const WIDTH = 128;

const countedWgsl = `
fn isCounted(label: i32) -> bool {
  return label != p.ignoreIndex && label >= 0 && label < i32(p.classes);
}`;

const rowLosses = defineProgram({
  name: 'CrossEntropy (rows)',
  variants: [{}],
  build: () => ({
    buffers: {logits: read, labels: readInts, losses: write, logSumExp: write},
    uniforms: {classes: 'u32', ignoreIndex: 'i32'},
    workgroupSize: WIDTH,
    declarations: countedWgsl + workgroupSumWgsl(WIDTH) + workgroupMaxWgsl(WIDTH),
    main: `
  let row = group * p.classes;
  var largest = -3.0e38;
  for (var i = lane; i < p.classes; i += ${WIDTH}u) { largest = max(largest, logits[row + i]); }
  largest = workgroupMax(largest, lane);
  var sum = 0.0;
  for (var i = lane; i < p.classes; i += ${WIDTH}u) { sum += exp(logits[row + i] - largest); }
  let rowLogSumExp = largest + log(workgroupSum(sum, lane));
  if (lane == 0u) {
    logSumExp[group] = rowLogSumExp;
    let label = labels[group];
    losses[group] = 0.0;
    if (isCounted(label)) { losses[group] = rowLogSumExp - logits[row + u32(label)]; }
  }`,
  }),
});

const meanLoss = defineProgram({
  name: 'CrossEntropy (mean)',
  variants: [{}],
  build: () => ({
    buffers: {losses: read, labels: readInts, loss: write},
    uniforms: {rows: 'u32', classes: 'u32', ignoreIndex: 'i32'},
    workgroupSize: WIDTH,
    declarations: countedWgsl + workgroupSumWgsl(WIDTH),
    main: `
  var sum = 0.0;
  var count = 0.0;
  for (var row = lane; row < p.rows; row += ${WIDTH}u) {
    sum += losses[row];
    count += select(0.0, 1.0, isCounted(labels[row]));
  }
  let total = workgroupSum(sum, lane);
  let counted = workgroupSum(count, lane);
  if (lane == 0u) { loss[0] = total / max(counted, 1.0); }`,
  }),
});

const scaleOfRows = defineProgram({
  name: 'CrossEntropyGrad (scale)',
  variants: [{}],
  build: () => ({
    buffers: {labels: readInts, dy: read, scale: write},
    uniforms: {rows: 'u32', classes: 'u32', ignoreIndex: 'i32'},
    workgroupSize: WIDTH,
    declarations: countedWgsl + workgroupSumWgsl(WIDTH),
    main: `
  var count = 0.0;
  for (var row = lane; row < p.rows; row += ${WIDTH}u) { count += select(0.0, 1.0, isCounted(labels[row])); }
  let counted = workgroupSum(count, lane);
  if (lane == 0u) { scale[0] = dy[0] / max(counted, 1.0); }`,
  }),
});

const logitGradient = defineProgram({
  name: 'CrossEntropyGrad',
  variants: [{}],
  build: () => ({
    buffers: {logits: read, labels: readInts, logSumExp: read, scale: read, dLogits: write},
    uniforms: {classes: 'u32', ignoreIndex: 'i32', size: 'u32'},
    declarations: countedWgsl + expm1Wgsl,
    main: `
  let row = i / p.classes;
  let label = labels[row];
  var gradient = 0.0;
  if (isCounted(label)) {
    let logProbability = logits[i] - logSumExp[row];
    // p - 1 in one go, without the rounding of p in between.
    if (i32(i % p.classes) == label) { gradient = expm1(logProbability); } else { gradient = exp(logProbability); }
  }
  dLogits[i] = gradient * scale[0];`,
  }),
});

registerWebGPUKernel('CrossEntropy', (gpu, [logits, labels], {ignoreIndex}: CrossEntropyAttrs) => {
  const [rows, classes] = logits.shape;
  const loss = gpu.output([]);
  const logSumExp = gpu.output([rows]);
  const losses = gpu.scratch(rows);
  gpu.run(
    rowLosses,
    {},
    {
      buffers: {logits, labels, losses, logSumExp},
      uniforms: {classes, ignoreIndex},
      workgroups: rows,
    },
  );
  gpu.run(meanLoss, {}, {buffers: {losses, labels, loss}, uniforms: {rows, classes, ignoreIndex}, workgroups: 1});
  return [loss, logSumExp];
});

registerWebGPUKernel(
  'CrossEntropyGrad',
  (gpu: Gpu, [logits, labels, logSumExp, dy]: TensorInfo[], {ignoreIndex}: CrossEntropyAttrs) => {
    const [rows, classes] = logits.shape;
    const dLogits = gpu.output(logits.shape);
    const scale = gpu.scratch(1);
    gpu.run(scaleOfRows, {}, {buffers: {labels, dy, scale}, uniforms: {rows, classes, ignoreIndex}, workgroups: 1});
    gpu.run(
      logitGradient,
      {},
      {
        buffers: {logits, labels, logSumExp, scale, dLogits},
        uniforms: {classes, ignoreIndex, size: rows * classes},
      },
    );
    return [dLogits];
  },
);
