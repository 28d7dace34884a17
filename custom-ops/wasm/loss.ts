/** The cross entropy: three passes over each row forwards, one backwards; sums in float64. */
import {load4, store4, wideSum4} from './vector';
import {exp, expm1} from './functions';

/** From JavaScript: one a row. */
// @ts-ignore: decorator
@external("env", "log")
declare function log(x: f64): f64;

/** Terms that are added in float32 before they go into a float64 sum. */
const TERMS = 64;

// @ts-ignore: decorator
@inline
function isCounted(label: i32, classes: i32, ignoreIndex: i32): bool {
  return label !== ignoreIndex && label >= 0 && label < classes;
}

/** The number of rows that count, at least 1. */
function countRows(labels: usize, rows: i32, classes: i32, ignoreIndex: i32): i32 {
  let count = 0;
  for (let i: usize = 0; i < <usize>rows; i++) {
    count += isCounted(load<i32>(labels + (i << 2)), classes, ignoreIndex) ? 1 : 0;
  }
  return max(count, 1);
}

function largestOf(x: usize, classes: i32): f32 {
  let largest = load<f32>(x);
  let i = 0;
  if (classes >= 4) {
    let v = v128.load(x);
    for (; i + 4 <= classes; i += 4) {
      v = f32x4.pmax(v, v128.load(x + (<usize>i << 2)));
    }
    largest = max<f32>(
      max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
      max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
    );
  }
  for (; i < classes; i++) {
    largest = max<f32>(largest, load<f32>(x + (<usize>i << 2)));
  }
  return largest;
}

/** Σ e^(x - largest) */
function sumExp(x: usize, classes: i32, largest: f32): f64 {
  const shift = f32x4.splat(largest);
  let total: f64 = 0;
  for (let from = 0; from < classes; from += TERMS) {
    const to = min(from + TERMS, classes);
    let sum = f32x4.splat(0);
    let i = from;
    for (; i + 4 <= to; i += 4) {
      sum = f32x4.add(sum, exp(f32x4.sub(v128.load(x + (<usize>i << 2)), shift)));
    }
    total += wideSum4(sum);
    for (; i < to; i++) {
      total += f32x4.extract_lane(exp(f32x4.splat(load<f32>(x + (<usize>i << 2)) - largest)), 0);
    }
  }
  return total;
}

export function crossEntropy(
  logits: usize, labels: usize, loss: usize, logSumExp: usize, rows: i32, classes: i32, ignoreIndex: i32,
): void {
  const count = countRows(labels, rows, classes, ignoreIndex);
  let total: f64 = 0;
  for (let i = 0; i < rows; i++) {
    const largest = largestOf(logits, classes);
    const value = <f64>largest + log(sumExp(logits, classes, largest));
    store<f32>(logSumExp, <f32>value);
    const label = load<i32>(labels);
    if (isCounted(label, classes, ignoreIndex)) {
      total += value - <f64>load<f32>(logits + (<usize>label << 2));
    }
    logits += <usize>classes << 2;
    logSumExp += 4;
    labels += 4;
  }
  store<f32>(loss, <f32>(total / <f64>count));
}

export function crossEntropyGrad(
  logits: usize, labels: usize, logSumExp: usize, dy: usize, dLogits: usize, rows: i32, classes: i32, ignoreIndex: i32,
): void {
  const row = <usize>classes << 2;
  const scale = f32x4.splat(load<f32>(dy) / <f32>countRows(labels, rows, classes, ignoreIndex));
  for (let i = 0; i < rows; i++) {
    const label = load<i32>(labels);
    if (isCounted(label, classes, ignoreIndex)) {
      const shift = f32x4.splat(load<f32>(logSumExp));
      for (let k = 0; k < classes; k += 4) {
        const at = <usize>k << 2;
        const p = exp(f32x4.sub(load4(logits + at, classes - k), shift));
        store4(dLogits + at, f32x4.mul(p, scale), classes - k);
      }
      // p - 1 in one go, without the rounding of p in between.
      const at = <usize>label << 2;
      const less1 = expm1(f32x4.sub(v128.load_splat<f32>(logits + at), shift));
      store<f32>(dLogits + at, f32x4.extract_lane(f32x4.mul(less1, scale), 0));
    } else {
      memory.fill(dLogits, 0, row);
    }
    logits += row;
    dLogits += row;
    logSumExp += 4;
    labels += 4;
  }
}
