/**
 * Rows of bfloat16, two to an int32, the first in the lower half: decoding is reading weights, so half of the bytes is nearly half of the
 * time. TensorFlow.js has no such dtype. The kernels are those of the native library, on a CPU; other backends have none, and a model is
 * not held like that there.
 */
import * as tf from '@tensorflow/tfjs';
import {checkIndices, checkKeys, checkNotEmpty, checkRank, checkShape, toOptionalTensor, toTensor} from '../check';
import './gradient';
import {runHalfLinear, runUnpackHalves} from './kernels';

/**
 * The floats [..., width] of words [..., width / 2]. No gradient: what is packed is not trained.
 *
 * @throws Error naming the argument whose shape or dtype is wrong.
 */
export function unpackHalves(args: {words: tf.Tensor}): tf.Tensor {
  checkKeys('unpackHalves', args, ['words']);
  return runUnpackHalves({words: toTensor('unpackHalves', 'words', args.words, 'int32')}, {})[0];
}

/**
 * The rows of a table [rows, width] that int32 `ids` of any shape name, [...ids.shape, width].
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function lookUpHalves(args: {words: tf.Tensor; ids: tf.Tensor}): tf.Tensor {
  const op = 'lookUpHalves';
  return tf.tidy(op, () => {
    checkKeys(op, args, ['words', 'ids']);
    const words = toTensor(op, 'words', args.words, 'int32');
    const ids = toTensor(op, 'ids', args.ids, 'int32');
    checkRank(op, 'words', words, 2, '[rows, width / 2]');
    checkNotEmpty(op, 'ids', ids);
    checkIndices(op, 'ids', ids, words.shape[0]);
    return runUnpackHalves({words: tf.gather(words, ids)}, {})[0];
  });
}

/**
 * `x · rowsᵀ + bias`, [..., out] of x [..., width], words [out, width / 2] and bias [out]. Differentiable in x and the bias.
 *
 * @throws Error naming the argument whose shape or dtype is wrong.
 */
export function halfLinear(args: {x: tf.Tensor; words: tf.Tensor; bias?: tf.Tensor}): tf.Tensor {
  const op = 'halfLinear';
  return tf.tidy(op, () => {
    checkKeys(op, args, ['x', 'words', 'bias']);
    const x = toTensor(op, 'x', args.x);
    const words = toTensor(op, 'words', args.words, 'int32');
    const bias = toOptionalTensor(op, 'bias', args.bias);
    checkNotEmpty(op, 'x', x);
    checkRank(op, 'words', words, 2, '[out, width / 2]');
    checkNotEmpty(op, 'words', words);
    const [out, columns] = words.shape as [number, number];
    const lead = x.shape.slice(0, -1);
    checkShape(op, 'x', x, [...lead, 2 * columns], 'the width of the rows at the end');
    checkShape(op, 'bias', bias, [out], 'a value per output');
    const [y] = runHalfLinear({x: x.rank === 2 ? x : x.reshape([-1, 2 * columns]), words, bias}, {});
    return x.rank === 2 ? y : y.reshape([...lead, out]);
  });
}
