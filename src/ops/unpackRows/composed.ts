/** Unpacking made of TensorFlow.js ops. */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import type {UnpackRowsAttrs, UnpackRowsInput} from './kernels';
import {GROUP, runLookUpRows, runUnpackRows} from './kernels';

export function unpackRowsComposed(
  {words, scales}: Record<UnpackRowsInput, tf.Tensor>,
  {perWord}: UnpackRowsAttrs,
): tf.Tensor[] {
  const bytes = Array.from({length: perWord}, (_, i) =>
    words.floorDiv(tf.scalar(256 ** i, 'int32')).mod(tf.scalar(256, 'int32')),
  );
  const unsigned = tf.stack(bytes, -1).toFloat();
  const integers = unsigned.sub(unsigned.greaterEqual(128).toFloat().mul(256));
  const groups = integers.reshape([...scales.shape, GROUP]).mul(scales.expandDims(-1));
  return [groups.reshape([...scales.shape.slice(0, -1), GROUP * scales.shape[scales.rank - 1]])];
}

/** Not for WebGPU, whose gather reads integers as float32. */
export function lookUpRowsComposed(
  {words, scales, ids}: Record<UnpackRowsInput | 'ids', tf.Tensor>,
  attrs: UnpackRowsAttrs,
): tf.Tensor[] {
  const rows = scales.shape[0];
  const isRow = ids.greaterEqual(0).logicalAnd(ids.less(rows)).expandDims(-1).toFloat();
  const known = ids.clipByValue(0, rows - 1).toInt();
  return runUnpackRows({words: tf.gather(words, known), scales: tf.gather(scales, known).mul(isRow)}, attrs);
}

offerComposed(runUnpackRows, unpackRowsComposed, true);
offerComposed(runLookUpRows, lookUpRowsComposed, true);
