/** What tells splice junctions apart: Mamba that reads both strands, and what it is compared with. */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src/node';
import {BASES} from './bases';
import {kinds, LENGTH} from './junctions';
import {ReverseComplement} from './reverseComplement';

const answer = (seed: number) =>
  tf.layers.dense({units: kinds.length, kernelInitializer: tf.initializers.glorotUniform({seed}), name: 'answer'});

/**
 * One Mamba, the same weights for both strands: each reads its strand from its own end, so that between them every position is seen from
 * both sides. What they say of a position stands side by side, and the place it has in the sequence is known to the answer.
 */
function mamba(seed: number): tf.LayersModel {
  const input = tf.input({shape: [LENGTH, BASES.length]});
  const widen = tf.layers.dense({units: 24, kernelInitializer: tf.initializers.glorotUniform({seed: seed + 1})});
  const blocks = [1, 2].map((i) => layers.mambaBlock({dState: 8, seed: seed + 1 + i}));
  const read = (strand: tf.SymbolicTensor) =>
    blocks.reduce((x, block) => block.apply(x) as tf.SymbolicTensor, widen.apply(strand) as tf.SymbolicTensor);
  const other = new ReverseComplement({}).apply(input) as tf.SymbolicTensor;
  const both = tf.layers.concatenate().apply([read(input), read(other)]) as tf.SymbolicTensor;
  return tf.model({inputs: input, outputs: answered(both, seed)});
}

/** A convolution of as many weights, and the same answer behind it. */
function convolution(seed: number): tf.LayersModel {
  const input = tf.input({shape: [LENGTH, BASES.length]});
  const convolve = (filters: number, i: number) =>
    tf.layers.conv1d({
      ...{filters, kernelSize: 9, padding: 'same', activation: 'relu'},
      kernelInitializer: tf.initializers.heUniform({seed: seed + i}),
    });
  const first = convolve(32, 1).apply(input) as tf.SymbolicTensor;
  return tf.model({inputs: input, outputs: answered(convolve(40, 2).apply(first) as tf.SymbolicTensor, seed)});
}

/** A weight for each base at each place: what is known without looking at two places together. */
function logistic(seed: number): tf.LayersModel {
  const input = tf.input({shape: [LENGTH, BASES.length]});
  return tf.model({inputs: input, outputs: answer(seed).apply(tf.layers.flatten().apply(input)) as tf.SymbolicTensor});
}

function answered(x: tf.SymbolicTensor, seed: number): tf.SymbolicTensor {
  const dropped = tf.layers.dropout({rate: 0.4, seed}).apply(x) as tf.SymbolicTensor;
  return answer(seed).apply(tf.layers.flatten().apply(dropped)) as tf.SymbolicTensor;
}

/** Logits of the three kinds [B,3] from one-hot bases [B,60,4], each by a seed. */
export const classifiers: Record<string, (seed: number) => tf.LayersModel> = {mamba, convolution, logistic};
