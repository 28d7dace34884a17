/**
 * Rows of 8-bit integers with a scale for every 32 of them (GGUF's Q8_0), as the floats that they stand for. The integers come several to
 * an int32, the first in the lowest bits: four, or two where a backend keeps no whole int32 (`wordsAreExact` in traits.ts). No gradient: what is
 * packed is not trained.
 */
import * as tf from '@tensorflow/tfjs';
import {wordsAreExact} from '../../backends/traits';
import {checkIndices, checkKeys, checkNotEmpty, checkRank, showShape, toTensor} from '../check';
import './composed';
import {GROUP, runLookUpRows, runUnpackRows} from './kernels';

/** The arguments of {@link unpackRows}. */
export interface PackedRows {
  /** [..., width / perWord], int32 */
  words: tf.Tensor;
  /** [..., width / 32] */
  scales: tf.Tensor;
}

/**
 * integer · scale [..., width].
 *
 * @throws Error naming the argument whose shape or dtype is wrong, or if the rows were packed for another backend.
 */
export function unpackRows(args: PackedRows): tf.Tensor {
  return tf.tidy(OP, () => {
    checkKeys(OP, args, ['words', 'scales']);
    const words = toTensor(OP, 'words', args.words, 'int32');
    const scales = toTensor(OP, 'scales', args.scales);
    return runUnpackRows({words, scales}, {perWord: perWordOf(OP, {words, scales})})[0];
  });
}

/**
 * The rows of a table [rows, width] that `ids` name, integer · scale [...ids.shape, width]. An id outside the table throws or gives a row of
 * zeros as in `embedding`.
 *
 * @throws Error naming the argument whose shape, dtype or value is wrong.
 */
export function lookUpRows(args: PackedRows & {ids: tf.Tensor}): tf.Tensor {
  return tf.tidy('lookUpRows', () => {
    const op = 'lookUpRows';
    checkKeys(op, args, ['words', 'scales', 'ids']);
    const words = toTensor(op, 'words', args.words, 'int32');
    const scales = toTensor(op, 'scales', args.scales);
    const ids = toTensor(op, 'ids', args.ids, 'int32');
    checkRank(op, 'scales', scales, 2, '[rows, width / 32]');
    checkNotEmpty(op, 'ids', ids);
    checkIndices(op, 'ids', ids, scales.shape[0]);
    return runLookUpRows({words, scales, ids}, {perWord: perWordOf(op, {words, scales})})[0];
  });
}

const OP = 'unpackRows';

/** How many integers a word holds. */
export function perWordOf(op: string, {words, scales}: PackedRows): number {
  const perWord = (GROUP * scales.shape[scales.rank - 1]) / words.shape[words.rank - 1];
  const fits = tf.util.arraysEqual(words.shape.slice(0, -1), scales.shape.slice(0, -1));
  if (!fits || (perWord !== 2 && perWord !== 4)) {
    throw new Error(
      `${op}: words must have 8 or 16 columns for each one of scales, ${showShape(scales.shape)}, but has ${showShape(words.shape)}`,
    );
  }
  if (perWord === 4 && !wordsAreExact()) {
    throw new Error(
      `${op}: the rows were packed for another backend than ${tf.getBackend()}, which keeps no int32 of 32 bits`,
    );
  }
  return perWord;
}
