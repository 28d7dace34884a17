/** The metric 'accuracy' of a language model, whose labels are ids. */
import type * as tf from '@tensorflow/tfjs';

/** The share of labels [B,L] that are the likeliest token of their logits [B,L,V]; those of `ignoreIndex` do not count. */
export function tokenAccuracy(labels: tf.Tensor, logits: tf.Tensor, ignoreIndex: number): tf.Tensor {
  const counted = labels.notEqual(ignoreIndex).toFloat();
  const right = logits.argMax(-1).equal(labels.toInt()).toFloat().mul(counted);
  return right.sum().div(counted.sum().maximum(1));
}

/** Puts our accuracy in the place of tfjs's, wherever tfjs lets its name stand. */
export function withAccuracy(metrics: unknown, accuracy: object): unknown {
  if (metrics === 'accuracy' || metrics === 'acc') return accuracy;
  if (Array.isArray(metrics)) return metrics.map((metric) => withAccuracy(metric, accuracy));
  if (typeof metrics !== 'object' || metrics === null) return metrics;
  return Object.fromEntries(
    Object.entries(metrics).map(([output, metric]) => [output, withAccuracy(metric, accuracy)]),
  );
}
