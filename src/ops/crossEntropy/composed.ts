/** The cross entropy made of TensorFlow.js ops, for a backend without a kernel of its own. */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {CrossEntropyAttrs, CrossEntropyGradInput, CrossEntropyInput} from './kernels';
import {runCrossEntropy, runCrossEntropyGrad} from './kernels';

/** 1 for the rows that count and 0 for the others, [R]; a label out of range does not count. */
function counted(labels: tf.Tensor, classes: number, ignoreIndex: number): tf.Tensor {
  const inRange = labels.greaterEqual(0).logicalAnd(labels.less(classes));
  return inRange.logicalAnd(labels.notEqual(ignoreIndex)).toFloat();
}

/** [R,V]: true at each row's label, nowhere if it is out of range. `tf.oneHot` refuses a single class. */
function atLabel(labels: tf.Tensor, classes: number): tf.Tensor {
  return labels.expandDims(-1).equal(tf.range(0, classes, 1, 'int32'));
}

export function crossEntropyComposed(
  {logits, labels}: Record<CrossEntropyInput, tf.Tensor>,
  {ignoreIndex}: CrossEntropyAttrs,
): tf.Tensor[] {
  const classes = logits.shape[1]!;
  const logSumExp = logits.logSumExp(-1);
  const counts = counted(labels, classes, ignoreIndex);
  // Chosen, not multiplied by 0 and 1: a class may be ruled out by a logit of -Infinity.
  const chosen = tf.where(atLabel(labels, classes), logits, tf.zerosLike(logits)).sum(-1);
  const losses = logSumExp.sub(chosen);
  return [losses.mul(counts).sum().div(counts.sum().maximum(1)), logSumExp];
}

export function crossEntropyGradComposed(
  {logits, labels, logSumExp, dy}: Record<CrossEntropyGradInput, tf.Tensor>,
  {ignoreIndex}: CrossEntropyAttrs,
): tf.Tensor[] {
  const classes = logits.shape[1]!;
  const counts = counted(labels, classes, ignoreIndex);
  const scale = counts.mul(dy).div(counts.sum().maximum(1));
  const probabilities = logits.sub(logSumExp.expandDims(-1)).exp();
  return [probabilities.sub(atLabel(labels, classes).toFloat()).mul(scale.expandDims(-1))];
}

offerComposed(runCrossEntropy, crossEntropyComposed);
offerComposed(runCrossEntropyGrad, crossEntropyGradComposed);
