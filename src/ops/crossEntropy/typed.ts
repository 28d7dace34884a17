/** The cross entropy over typed arrays, for `cpu` and `wasm`: no tensor of the logits' size besides their gradient. Sums in float64. */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {CrossEntropyAttrs} from './kernels';
import {crossEntropyShape, crossEntropyGradShape} from './shapes';

/** The number of rows whose label is in range and not ignored. */
function countRows(labels: ArrayLike<number>, classes: number, ignoreIndex: number): number {
  let count = 0;
  for (let row = 0; row < labels.length; row++) {
    count += isCounted(labels[row], classes, ignoreIndex) ? 1 : 0;
  }
  return count;
}

function isCounted(label: number, classes: number, ignoreIndex: number): boolean {
  return label !== ignoreIndex && label >= 0 && label < classes;
}

function forward([logits, labels]: Operand[], [loss, logSumExp]: Operand[], ignoreIndex: number): void {
  const [rows, classes] = logits.shape;
  const x = logits.values;
  let total = 0;
  for (let row = 0, at = 0; row < rows; row++, at += classes) {
    let largest = -Infinity;
    for (let i = at; i < at + classes; i++) {
      if (x[i] > largest) largest = x[i];
    }
    let sum = 0;
    for (let i = at; i < at + classes; i++) {
      sum += Math.exp(x[i] - largest);
    }
    const rowLogSumExp = largest + Math.log(sum);
    logSumExp.values[row] = rowLogSumExp;
    const label = labels.values[row];
    if (isCounted(label, classes, ignoreIndex)) {
      total += rowLogSumExp - x[at + label];
    }
  }
  loss.values[0] = total / Math.max(countRows(labels.values, classes, ignoreIndex), 1);
}

function backward([logits, labels, logSumExp, dy]: Operand[], [dLogits]: Operand[], ignoreIndex: number): void {
  const [rows, classes] = logits.shape;
  const scale = dy.values[0] / Math.max(countRows(labels.values, classes, ignoreIndex), 1);
  for (let row = 0, at = 0; row < rows; row++, at += classes) {
    const label = labels.values[row];
    if (!isCounted(label, classes, ignoreIndex)) {
      dLogits.values.fill(0, at, at + classes);
      continue;
    }
    for (let i = at; i < at + classes; i++) {
      dLogits.values[i] = Math.exp(logits.values[i] - logSumExp.values[row]) * scale;
    }
    // p - 1 in one go, without the rounding of p in between.
    dLogits.values[at + label] = Math.expm1(logits.values[at + label] - logSumExp.values[row]) * scale;
  }
}

registerTypedArrayKernel({
  ...crossEntropyShape,
  compute: (inputs, outputs, {ignoreIndex}: CrossEntropyAttrs) => forward(inputs, outputs, ignoreIndex),
});

registerTypedArrayKernel({
  ...crossEntropyGradShape,
  compute: (inputs, outputs, {ignoreIndex}: CrossEntropyAttrs) => backward(inputs, outputs, ignoreIndex),
});
