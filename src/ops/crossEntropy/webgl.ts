/** The cross entropy on WebGL2. A label out of range does not count, and nothing is read for it. */
import type * as tf from '@tensorflow/tfjs';
import type {Kernel, Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums} from '../../backends/webglSums';
import {registerArrayKernel} from '../kernel';

/** Each row's log Σ exp, in parts of 64 terms. */
const logSumExpPass: Pass = {
  name: 'CrossEntropy (rows)',
  inputs: ['logits'],
  outputs: 1,
  ints: ['classes'],
  main: `
  int first = index * classes;
  float largest = get_logits(first);
  for (int k = 1; k < classes; k++) largest = max(largest, get_logits(first + k));
  float total = 0.;
  for (int from = 0; from < classes; from += 64) {
    float sum = 0.;
    for (int k = from; k < min(from + 64, classes); k++) sum += exact_exp(get_logits(first + k) - largest);
    total += sum;
  }
  out_0 = largest + log(total);`,
};

const label = `
bool isCounted(int label) { return label != ignoreIndex && label >= 0 && label < classes; }
int labelOf(int row) { return int(round(get_labels(row))); }`;

const lossPass: Pass = {
  name: 'CrossEntropy (losses)',
  inputs: ['logits', 'labels', 'logSumExp'],
  outputs: 2,
  ints: ['classes', 'ignoreIndex'],
  declarations: label,
  main: `
  int label = labelOf(index);
  bool counts = isCounted(label);
  out_0 = counts ? get_logSumExp(index) - get_logits(index * classes + label) : 0.;
  out_1 = counts ? 1. : 0.;`,
};

const meanPass: Pass = {
  name: 'CrossEntropy',
  inputs: ['sum', 'counted'],
  outputs: 1,
  main: `out_0 = get_sum(0) / max(get_counted(0), 1.);`,
};

const countPass: Pass = {
  name: 'CrossEntropyGrad (count)',
  inputs: ['labels'],
  outputs: 1,
  ints: ['classes', 'ignoreIndex'],
  declarations: label,
  main: `out_0 = isCounted(labelOf(index)) ? 1. : 0.;`,
};

const gradPass: Pass = {
  name: 'CrossEntropyGrad',
  inputs: ['logits', 'labels', 'logSumExp', 'dy', 'counted'],
  outputs: 1,
  ints: ['classes', 'ignoreIndex'],
  declarations: label,
  main: `
  int row = index / classes;
  int label = labelOf(row);
  float scale = get_dy(0) / max(get_counted(0), 1.);
  float x = get_logits(index) - get_logSumExp(row);
  // p - 1 in one go where p is close to 1, without the rounding of p in between.
  float less1 = exact_exp(x) - 1.;
  if (x > -0.3) less1 = x * (1. + x * (0.49999997 + x * (0.166665062 + x * (4.16671447e-2 + x * (8.36907141e-3 + x * 1.38888648e-3)))));
  float p = index % classes == label ? less1 : exact_exp(x);
  out_0 = isCounted(label) ? p * scale : 0.;`,
};

/** Σ over the rows, a tensor of one element. */
function total(kernel: Kernel, a: tf.TensorInfo, rows: number): tf.TensorInfo {
  const output = kernel.temporary([1]);
  columnSums(kernel, {a, rows, columns: 1, output});
  return output;
}

registerArrayKernel('CrossEntropy', 'webgl', ({inputs: [logits, labels], backend, attrs}) =>
  runPasses('crossEntropy', backend, (kernel) => {
    const [rows, classes] = logits.shape;
    const ints = {classes, ignoreIndex: attrs.ignoreIndex as number};
    const logSumExp = kernel.output([rows]);
    kernel.draw(logSumExpPass, {inputs: {logits}, ints, count: rows, outputs: [logSumExp]});
    const [losses, counts] = [kernel.temporary([rows]), kernel.temporary([rows])];
    kernel.draw(lossPass, {inputs: {logits, labels, logSumExp}, ints, count: rows, outputs: [losses, counts]});
    const loss = kernel.output([]);
    const inputs = {sum: total(kernel, losses, rows), counted: total(kernel, counts, rows)};
    kernel.draw(meanPass, {inputs, count: 1, outputs: [loss]});
    return [loss, logSumExp];
  }),
);

registerArrayKernel('CrossEntropyGrad', 'webgl', ({inputs: [logits, labels, logSumExp, dy], backend, attrs}) =>
  runPasses('the gradient of crossEntropy', backend, (kernel) => {
    const [rows, classes] = logits.shape;
    const ints = {classes, ignoreIndex: attrs.ignoreIndex as number};
    const counts = kernel.temporary([rows]);
    kernel.draw(countPass, {inputs: {labels}, ints, count: rows, outputs: [counts]});
    const inputs = {logits, labels, logSumExp, dy, counted: total(kernel, counts, rows)};
    const dLogits = kernel.output(logits.shape);
    kernel.draw(gradPass, {inputs, ints, count: rows * classes, outputs: [dLogits]});
    return [dLogits];
  }),
);
