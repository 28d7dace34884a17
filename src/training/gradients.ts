/**
 * The gradient of a step, from one batch or from several added up, without reading anything back.
 *
 * The loss of a batch is a mean over its counted labels, so batches with different counts must not weigh the same: gradient and loss
 * of each are multiplied by its count, added, and the sum is divided by all counts in the end. The result is that of one big batch.
 */
import * as tf from '@tensorflow/tfjs';
import {beginAgain} from '../backends/webgpuOrder';
import {freeingTape, freeOnTheWay, watchGradients} from '../backends/tape';
import type {Relay, SequenceCall} from '../layers/sequenceCall';
import {checkWhole} from '../ops/check';
import {crossEntropy} from '../ops/crossEntropy';
import {resetCarried} from './carried';
import type {Batch} from './data';
import {gradCheckpoint as throughCheckpoint} from './gradCheckpoint';

/** What is minimized. */
export interface Objective {
  /** The mean loss of a batch. */
  loss: (labels: Batch['ys'], outputs: tf.Tensor | tf.Tensor[]) => tf.Scalar;
  /** The number of things that mean runs over. */
  count: (labels: Batch['ys']) => tf.Tensor;
}

/** The objective of a language model: cross entropy of logits [B,L,V] over the int32 labels [B,L] that are not -100. */
export const nextToken: Objective = {
  loss: (labels, logits) => crossEntropy({logits: logits as tf.Tensor, labels: asIds(labels)}),
  count: (labels) => asIds(labels).notEqual(tf.scalar(-100, 'int32')).sum().toFloat(),
};

/** Labels as int32: `tf.data` makes them float32. */
function asIds(labels: Batch['ys']): tf.Tensor {
  const tensor = labels as tf.Tensor;
  if (tensor.dtype === 'float32') checkWhole('trainer', 'labels', tensor);
  return tensor.toInt();
}

/** Counts the rows of a batch: for a loss that is a mean over examples. */
export function countRows(labels: Batch['ys']): tf.Tensor {
  const [first] = [labels].flat();
  return tf.scalar(first.shape[0]);
}

/** A loss, the gradient of each variable that has one, and what both must be multiplied by to be means. */
export interface StepGradients {
  loss: tf.Scalar;
  gradients: Record<string, tf.Tensor>;
  /** Absent if they are means already. */
  scale?: tf.Scalar;
}

/** How a model is run. */
export interface Run {
  /** Whether for its gradient. */
  training?: boolean;
  /** See the trainer's options of these names. */
  gradCheckpoint?: boolean;
  stateful?: boolean;
  relay?: Relay;
}

/** Loss of a batch: the objective and the model's own regularization. */
export function batchLoss(
  model: tf.LayersModel,
  batch: Batch,
  {loss}: Objective,
  {training = false, gradCheckpoint, stateful, relay}: Run = {},
): tf.Scalar {
  return tf.tidy(() => {
    const {xs, ys, sequenceIds} = batch;
    const through = gradCheckpoint ? throughCheckpoint : undefined;
    const call: SequenceCall = {stateful, through, sequenceIds, relay};
    const outputs = model.apply(xs, {training, ...call}) as tf.Tensor | tf.Tensor[];
    return [loss(ys, outputs), ...model.calculateLosses()].reduce((sum, term) => sum.add(term));
  });
}

/** Sums, each term multiplied by its count, and the sum of the counts. */
export type GradientSums = Pick<StepGradients, 'loss' | 'gradients'> & Record<'total', tf.Scalar>;

/** The gradients of a step over at least one batch, to be called in a tidy. */
export function stepGradients(
  model: tf.LayersModel,
  batches: Batch[],
  objective: Objective,
  run: Run = {},
): StepGradients {
  if (batches.length === 1) {
    const {value, grads} = batchGradients(model, batches[0], objective, run);
    return {loss: value, gradients: grads};
  }
  return asMeans(gradientSums(model, batches, objective, run));
}

/**
 * The same as sums, where none of its tensors stay if it throws.
 *
 * @param weights Multiply the counts of the batches.
 * @param ready Is handed the gradient of each variable as soon as it is whole, the last layers' first; those are not in the result then.
 */
export function gradientSums(
  model: tf.LayersModel,
  batches: Batch[],
  objective: Objective,
  run: Run,
  weights?: readonly number[],
  ready?: (name: string, sum: tf.Tensor) => void,
): GradientSums {
  return tf.tidy(() => {
    const gradients: Record<string, tf.Tensor> = {};
    let loss = tf.scalar(0);
    let total = tf.scalar(0);
    for (const [i, batch] of batches.entries()) {
      const count = tf.tidy(() => objective.count(batch.ys).mul<tf.Scalar>(weights?.[i] ?? 1));
      const sum = ({name}: tf.Variable, grad: tf.Tensor) => {
        ready!(name, addWeighted(gradients[name], grad.clone(), count));
        delete gradients[name];
      };
      const isLast = i === batches.length - 1;
      const {value, grads} = batchGradients(model, batch, objective, run, isLast && ready ? sum : undefined);
      // One variable at a time, so that no third copy of all gradients is ever there.
      for (const [name, grad] of isLast && ready ? [] : Object.entries(grads)) {
        gradients[name] = addWeighted(gradients[name], grad, count);
      }
      loss = addWeighted(loss, value, count);
      total = addWeighted(total, count);
    }
    return {loss, gradients, total};
  });
}

/** Sums with what makes them means, in the tidy of the caller. */
export function asMeans({loss, gradients, total}: GradientSums): StepGradients {
  // Where no label counts, the sums are zero. Chosen by a comparison, since tf.maximum may lose a NaN.
  const scale = tf.div<tf.Scalar>(1, tf.where(total.less(1), tf.onesLike(total), total));
  return {loss, gradients, scale};
}

/** Loss and gradients of one batch; with `ready`, which is handed these, zeros in their place. */
export function batchGradients(
  model: tf.LayersModel,
  batch: Batch,
  objective: Objective,
  run: Run,
  ready?: Parameters<typeof watchGradients>[1],
) {
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  beginAgain();
  if (run.stateful && batch.isStart) resetCarried(model);
  const loss = () => {
    const result = batchLoss(model, batch, objective, {...run, training: true});
    if (ready) watchGradients(variables, ready);
    freeOnTheWay();
    return result;
  };
  return freeingTape(() => tf.variableGrads(loss, variables));
}

/** sum + term · weight; disposes sum and term. */
export function addWeighted<T extends tf.Tensor>(sum: T | undefined, term: T, weight?: tf.Tensor): T {
  const result = tf.tidy(() => {
    const weighted = weight ? term.mul<T>(weight) : term;
    return sum ? sum.add<T>(weighted) : weighted.clone();
  });
  tf.dispose([sum ?? [], term]);
  return result;
}
