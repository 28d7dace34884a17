/** The cross entropy as the mathematics reads, in float64: the truth that every kernel is tested against. */
import type {Array64} from '../float64';
import {zeros64} from '../float64';

/** The rows that count: label in range and not ignored. */
function countedRows({shape: [, classes]}: Array64, labels: ArrayLike<number>, ignoreIndex: number): number[] {
  return Array.from(labels, (_, row) => row).filter(
    (row) => labels[row] !== ignoreIndex && labels[row] >= 0 && labels[row] < classes,
  );
}

/** softmax of one row, and its log Σ exp. */
function softmaxRow({shape: [, classes], values}: Array64, row: number) {
  const logits = values.subarray(row * classes, (row + 1) * classes);
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSumExp = largest + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return {logits, logSumExp, probabilities: logits.map((x) => Math.exp(x - logSumExp))};
}

/** The mean over the rows that count of log Σ exp(logits) − logits[label]; 0 if none counts. logits [R,V], labels [R]. */
export function crossEntropyReference(logits: Array64, labels: ArrayLike<number>, ignoreIndex: number): number {
  const rows = countedRows(logits, labels, ignoreIndex);
  const sum = rows.reduce((total, row) => {
    const {logits: x, logSumExp} = softmaxRow(logits, row);
    return total + logSumExp - x[labels[row]];
  }, 0);
  return sum / Math.max(rows.length, 1);
}

/** The gradient of dy·loss with respect to the logits. */
export function crossEntropyGradReference(
  logits: Array64,
  labels: ArrayLike<number>,
  ignoreIndex: number,
  dy: number,
): Array64 {
  const classes = logits.shape[1];
  const gradient = zeros64(logits.shape);
  const rows = countedRows(logits, labels, ignoreIndex);
  for (const row of rows) {
    softmaxRow(logits, row).probabilities.forEach((p, k) => {
      gradient.values[row * classes + k] = ((p - (k === labels[row] ? 1 : 0)) * dy) / rows.length;
    });
  }
  return gradient;
}
