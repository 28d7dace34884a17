/**
 * A step of AdamW that lets each gradient go as soon as it has been applied, on the way back, so that those of a large model are never all
 * there at once. It needs gradients that are means already and are not clipped: what they are clipped by is known in the end only.
 */
import * as tf from '@tensorflow/tfjs';
import {globalNorm} from '../ops/adamW';
import type {AdamW} from './adamW';
import type {Batch} from './data';
import type {Objective, Run} from './gradients';
import {batchGradients} from './gradients';

/** Bytes of gradients that are applied together: for the many small weights of a model calls cost more than memory does. */
const TOGETHER = 2 ** 25;

type Pair = {name: string; tensor: tf.Tensor};

/**
 * Takes a step on one batch; its loss and the norm of its gradients, still on the device. To be called in a tidy. Should the way back throw,
 * the weights of a large model may be partly those after the step.
 */
export function stepOnTheWay(
  model: tf.LayersModel,
  batch: Batch,
  objective: Objective,
  run: Run,
  optimizer: AdamW,
  together = TOGETHER,
): Record<'loss' | 'norm', tf.Scalar> {
  const places = new Map(model.trainableWeights.map(({name}, i) => [name, i]));
  const one = tf.scalar(1);
  const norms: tf.Scalar[] = [];
  let waiting: Pair[] = [];
  let bytes = 0;
  const apply = (areAll: boolean) => {
    if (waiting.length === 0) return;
    const pairs = waiting.sort((a, b) => places.get(a.name)! - places.get(b.name)!);
    norms.push(tf.keep(globalNorm(pairs.map(({tensor}) => tensor))));
    optimizer.applySome(pairs, one, areAll);
    tf.dispose(pairs);
    [waiting, bytes] = [[], 0];
  };
  const ready = ({name}: tf.Variable, gradient: tf.Tensor) => {
    waiting.push({name, tensor: tf.keep(gradient.clone())});
    bytes += 4 * gradient.size;
    if (bytes >= together) apply(false);
  };
  try {
    const {value} = batchGradients(model, batch, objective, run, ready);
    apply(norms.length === 0);
    optimizer.endStep();
    return {loss: value, norm: norms.length === 1 ? norms[0].clone() : globalNorm(norms)};
  } finally {
    tf.dispose([norms, waiting]);
  }
}
