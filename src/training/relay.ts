/**
 * Sequence-parallel training: each rank of a cluster has a stretch of every sequence. Forward, the states that the layers end with are handed on
 * to the next rank, whose layers begin with them; on the way back their gradient is handed to the rank before. That is all that travels, since
 * nothing else of a state space reaches across: a few numbers a channel, whatever the length.
 *
 * Each row is a micro-batch, so that a rank works on one while the others have those before and after. All go forward first, without keeping
 * anything but the states that they begin with; for the gradient a stretch is run once more, so that memory holds the activations of one row's
 * stretch at a time.
 */
import * as tf from '@tensorflow/tfjs';
import {freeingTape, valueAndGradients} from '../backends/tape';
import type {Cluster} from '../cluster/cluster';
import {macrotask} from '../macrotask';
import {showShape} from '../ops/check';
import {sequenceLayers} from './carried';
import {sumOverRanks} from './cluster';
import type {Batch} from './data';
import type {GradientSums, Objective} from './gradients';
import {addWeighted, batchLoss} from './gradients';
import {StateLine} from './stateLine';

const OP = 'trainer: sequenceParallel';

/** Throws unless states are all that the layers of a model hand along a sequence, and they do so the same way twice. */
export function checkRelay(model: tf.LayersModel): void {
  const layers = sequenceLayers(model);
  if (layers.length === 0) throw new Error(`${OP} is for models with layers of tfjs-mamba, but this one has none`);
  for (const {name, goBackwards, options, mixer, mixerConfig} of layers) {
    if (goBackwards) throw new Error(`${OP} needs layers that run forwards, but ${name} has goBackwards`);
    if (options.dropout) throw new Error(`${OP} needs layers without dropout, but ${name} has ${options.dropout}`);
    if (!StateLine.fits(mixer, mixerConfig))
      throw new Error(`${OP} needs states of a fixed size, but that of ${name} grows (mixer ${mixer.name})`);
  }
}

/** This rank's stretch of every row, as new tensors. */
function stretches(batches: readonly Batch[], {rank, size}: Cluster): Batch[] {
  return batches.flatMap(({xs, ys, sequenceIds}) => {
    if (sequenceIds) throw new Error(`${OP} takes no packed rows`);
    if (Array.isArray(xs) || Array.isArray(ys) || !tf.util.arraysEqual(xs.shape.slice(0, 2), ys.shape))
      throw new Error(`${OP} takes batches of one tensor of inputs [B,L] and one of labels [B,L]`);
    const [rows, length] = ys.shape as [number, number];
    if (length < size)
      throw new Error(
        `${OP} cannot split rows of shape ${showShape(ys.shape)} over ${size} workers, as they are too short`,
      );
    const first = Math.floor((length * rank) / size);
    const count = Math.floor((length * (rank + 1)) / size) - first;
    return Array.from({length: rows}, (_, row) => ({
      xs: tf.slice(xs, [row, first], [1, count]),
      ys: tf.slice(ys, [row, first], [1, count]),
    }));
  });
}

/**
 * Loss and gradients of this rank's stretches, as sums; those of all ranks together are those of the batches.
 *
 * @param isLossOnly Leaves the gradients out, and the way back with them.
 */
export async function relaySums(
  model: tf.LayersModel,
  batches: readonly Batch[],
  objective: Objective,
  cluster: Cluster,
  isLossOnly = false,
): Promise<GradientSums> {
  const {rank, size} = cluster;
  const line = new StateLine(sequenceLayers(model));
  const [isFirst, isLast] = [rank === 0, rank === size - 1];
  const parts = stretches(batches, cluster);
  // Asked for at once: what arrives while this rank computes need not be waited for.
  const arriving = parts.map(() => (isFirst ? undefined : handled(cluster.receive([line.size], rank - 1))));
  const returning = parts.map(() =>
    isLast || isLossOnly ? undefined : handled(cluster.receive([line.size], rank + 1)),
  );
  const sent: Promise<void>[] = [];
  const send = (x: tf.Tensor, to: number) => {
    sent.push(handled(cluster.send(x, to).finally(() => x.dispose())));
  };
  const initial: tf.Tensor[] = [];
  let sums: GradientSums = tf.tidy(() => ({loss: tf.scalar(0), total: tf.scalar(0), gradients: {}}));
  const addStretch = (i: number, finalGradient?: tf.Tensor) => {
    const own = stretchGradients(model, line, parts[i], objective, initial[i], finalGradient);
    sums = added(sums, own.sums);
    if (isFirst) own.initialGradient.dispose();
    else send(own.initialGradient, rank - 1);
  };
  try {
    for (const i of parts.keys()) {
      initial.push((await arriving[i]) ?? tf.zeros([line.size]));
      if (isLast && !isLossOnly) {
        addStretch(i);
      } else {
        const {loss, total, final} = tf.tidy(() => forward(model, line, parts[i], objective, initial[i]));
        if (isLossOnly) sums = added(sums, {loss, total, gradients: {}});
        else tf.dispose([loss, total]);
        if (isLast) final.dispose();
        else send(final, rank + 1);
      }
      await macrotask();
    }
    for (const [i, coming] of returning.entries()) {
      const finalGradient = await coming;
      if (!finalGradient) continue;
      addStretch(i, finalGradient);
      finalGradient.dispose();
      await macrotask();
    }
    await Promise.all(sent);
    return sums;
  } catch (error) {
    tf.dispose([sums.loss, sums.total, sums.gradients]);
    throw error;
  } finally {
    tf.dispose([...initial, ...parts.flatMap(({xs, ys}) => [xs, ys].flat())]);
  }
}

/** A promise whose rejection is met later, where it is awaited. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function added(sums: GradientSums, own: GradientSums): GradientSums {
  const gradients = {...sums.gradients};
  for (const [name, gradient] of Object.entries(own.gradients))
    gradients[name] = addWeighted(gradients[name], gradient);
  return {loss: addWeighted(sums.loss, own.loss), total: addWeighted(sums.total, own.total), gradients};
}

/** The loss of a stretch times its counted labels, their number, and the states after it; to be called in a tidy. */
function forward(model: tf.LayersModel, line: StateLine, part: Batch, objective: Objective, initial: tf.Tensor) {
  const {relay, packed} = line.relay(initial);
  const mean = batchLoss(model, part, objective, {training: true, relay});
  const total = objective.count(part.ys) as tf.Scalar;
  return {loss: mean.mul<tf.Scalar>(total), total, final: packed()};
}

function stretchGradients(
  model: tf.LayersModel,
  line: StateLine,
  part: Batch,
  objective: Objective,
  initial: tf.Tensor,
  finalGradient?: tf.Tensor,
): {sums: GradientSums; initialGradient: tf.Tensor} {
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return freeingTape(() => {
    let scalars: Pick<GradientSums, 'loss' | 'total'>;
    // What the ranks after this one make of its last states has that gradient in them.
    const whole = () => {
      const {loss, total, final} = forward(model, line, part, objective, initial);
      scalars = {loss: tf.keep(loss.clone()), total: tf.keep(total.clone())};
      return finalGradient ? loss.add<tf.Scalar>(final.mul(finalGradient).sum()) : loss;
    };
    const {grads} = valueAndGradients(whole, [...variables, initial]);
    const found = variables.flatMap(({name}, i) => (grads[i] ? [[name, grads[i]] as const] : []));
    const initialGradient = grads[variables.length] ?? tf.zerosLike(initial);
    return {sums: {...scalars!, gradients: Object.fromEntries(found)}, initialGradient};
  });
}

/** The losses that the weights as they are now give: of each batch, or, where the ranks of a cluster divide sequences, of all together. */
export async function lossesNow(
  model: tf.LayersModel,
  batches: Batch[],
  objective: Objective,
  cluster?: Cluster,
): Promise<tf.Tensor> {
  if (!cluster || batches.length === 0) {
    return tf.tidy(() => tf.stack(batches.map((batch) => batchLoss(model, batch, objective))));
  }
  const {loss, total} = await sumOverRanks(await relaySums(model, batches, objective, cluster, true), cluster);
  total.dispose();
  return loss;
}
