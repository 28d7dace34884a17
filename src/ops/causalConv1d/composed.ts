/**
 * The causal convolution made of TensorFlow.js ops, for a backend without a kernel of its own: the sequence with its past in front,
 * shifted K times, each shift times its column of the weight.
 */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {ConvAttrs, ConvInputs} from './kernels';
import {runCausalConv1d, runCausalConv1dGrad} from './kernels';

/** [initialState, x] along time: [B,K-1+L,D]. */
function withPast({x, weight, initialState}: ConvInputs): tf.Tensor {
  const [batch, , channels] = x.shape as [number, number, number];
  const past = weight.shape[1]! - 1;
  if (past === 0) {
    return x;
  }
  return tf.concat([initialState ?? tf.zeros([batch, past, channels]), x], 1);
}

/** Positions k … k+L-1 of the extended sequence: what column k of the weight meets. */
function shifted(extended: tf.Tensor, k: number, length: number): tf.Tensor {
  const [batch, , channels] = extended.shape as [number, number, number];
  return extended.slice([0, k, 0], [batch, length, channels]);
}

/** Which values are of the document that they are asked for; without ids, all. The others are zeros: chosen, as they may be infinite. */
interface Documents {
  /** [B,L,D] of what column k of the weight meets: those of the document of the output. */
  window(values: tf.Tensor, k: number): tf.Tensor;
  /** [B,K-1,D] of the last inputs: those of the last document. */
  end(values: tf.Tensor): tf.Tensor;
}

function documents({x, weight, sequenceIds}: ConvInputs): Documents {
  const [batch, length] = x.shape as [number, number, number];
  const past = weight.shape[1]! - 1;
  if (!sequenceIds) {
    return {window: (values) => values, end: (values) => values};
  }
  // The number of each position's document in the extended sequence, whose past is of the first.
  const first = sequenceIds.slice([0, 0], [batch, 1]);
  const ids = tf.concat([first.tile([1, past + 1]), sequenceIds], 1);
  const size = past + length;
  const changes = ids.slice([0, 1], [batch, size]).notEqual(ids.slice([0, 0], [batch, size]));
  const numbers = changes.toInt().cumsum(1);
  const choose = (values: tf.Tensor, from: number, of: tf.Tensor) => {
    const count = values.shape[1]!;
    const same = numbers.slice([0, from], [batch, count]).equal(of).expandDims(2);
    return tf.where(same, values, tf.zerosLike(values));
  };
  return {
    window: (values, k) => choose(values, k, numbers.slice([0, past], [batch, length])),
    end: (values) => (past === 0 ? values : choose(values, length, numbers.slice([0, size - 1], [batch, 1]))),
  };
}

/** [D,K] → column k, [D]. */
function column(weight: tf.Tensor, k: number): tf.Tensor {
  return weight.slice([0, k], [weight.shape[0], 1]).squeeze([1]);
}

/** The sum before the activation. */
function convolve({x, weight, bias}: ConvInputs, {window}: Documents, extended: tf.Tensor): tf.Tensor {
  let sum: tf.Tensor | undefined = bias;
  for (let k = 0; k < weight.shape[1]!; k++) {
    const term = window(shifted(extended, k, x.shape[1]!), k).mul(column(weight, k));
    sum = sum ? sum.add(term) : term;
  }
  return sum!;
}

export function causalConv1dComposed(inputs: ConvInputs, {activation}: ConvAttrs): tf.Tensor[] {
  const {x, weight} = inputs;
  const extended = withPast(inputs);
  const of = documents(inputs);
  const sum = convolve(inputs, of, extended);
  const y = activation === 'silu' ? sum.mul(sum.sigmoid()) : sum;
  return [y, of.end(shifted(extended, x.shape[1]!, weight.shape[1]! - 1))];
}

export function causalConv1dGradComposed(
  inputs: ConvInputs & Record<'dy' | 'dFinalState', tf.Tensor>,
  {activation}: ConvAttrs,
): tf.Tensor[] {
  const {x, weight, bias, initialState, dy, dFinalState} = inputs;
  const [, length] = x.shape as [number, number, number];
  const width = weight.shape[1]!;
  const extended = withPast(inputs);
  const of = documents(inputs);
  let dSum = dy;
  if (activation === 'silu') {
    const sum = convolve(inputs, of, extended);
    const s = sum.sigmoid();
    dSum = dy.mul(s).mul(sum.mul(tf.sub(1, s)).add(1));
  }
  // Every shift puts its share of the gradient where it took its input from.
  let dExtended: tf.Tensor = of.end(dFinalState).pad([
    [0, 0],
    [length, 0],
    [0, 0],
  ]);
  const dColumns: tf.Tensor[] = [];
  for (let k = 0; k < width; k++) {
    dExtended = dExtended.add(
      of.window(dSum.mul(column(weight, k)), k).pad([
        [0, 0],
        [k, width - 1 - k],
        [0, 0],
      ]),
    );
    dColumns.push(dSum.mul(of.window(shifted(extended, k, length), k)).sum([0, 1]));
  }
  const gradients = [shifted(dExtended, width - 1, length), tf.stack(dColumns, 1)];
  if (bias) {
    gradients.push(dSum.sum([0, 1]));
  }
  if (initialState) {
    gradients.push(shifted(dExtended, 0, width - 1));
  }
  return gradients;
}

offerComposed(runCausalConv1d, causalConv1dComposed);
offerComposed(runCausalConv1dGrad, causalConv1dGradComposed);
