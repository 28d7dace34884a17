/**
 * Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): of a block nothing is kept for its gradient but what it was given, and
 * the way back runs it once more. Values and gradients are the same, bit for bit.
 */
import * as tf from '@tensorflow/tfjs';
import {innerGradients} from '../backends/tape';
import type {Sequence, Through} from '../layers/sequenceCall';

export const gradCheckpoint: Through = (run, {x, initial = {}, mask, sequenceIds}, variables) => {
  const names = Object.keys(initial);
  const inputs = [x, ...Object.values(initial)];
  const others = [mask, sequenceIds].filter((tensor) => tensor !== undefined && tensor !== null);
  const again = ([input, ...states]: tf.Tensor[], rest: tf.Tensor[]) => {
    const sequence: Sequence = {
      x: input as tf.Tensor3D,
      initial: names.length > 0 ? Object.fromEntries(names.map((name, i) => [name, states[i]])) : undefined,
      mask: mask && rest[0],
      sequenceIds: sequenceIds && (rest[rest.length - 1] as tf.Tensor2D),
    };
    return run(sequence);
  };
  const compute = tf.customGrad((...args) => {
    (args[args.length - 1] as tf.GradSaveFunc)([...inputs, ...others]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const given = saved.slice(0, inputs.length);
      return innerGradients(() => again(given, saved.slice(inputs.length)), [...given, ...variables], dy);
    };
    return {value: again(inputs, others), gradFunc};
  });
  return compute(...inputs, ...variables);
};
