/**
 * A linear map by 8-bit rows, which stay packed: decoding is reading weights, so a quarter of the bytes is nearly a quarter of the time.
 * See `unpackRows` for what they are.
 */
import * as tf from '@tensorflow/tfjs';
import {checkKeys, checkNotEmpty, checkRank, checkShape, showShape, toOptionalTensor, toTensor} from '../check';
import {perWordOf} from '../unpackRows';
import {GROUP} from '../unpackRows/kernels';
import './composed';
import './gradient';
import {runPackedLinear} from './kernels';

/** The arguments of {@link packedLinear}. */
export interface PackedLinearArgs {
  /** Input [..., in]. */
  x: tf.Tensor;
  /** [out, in / perWord], int32 */
  words: tf.Tensor;
  /** [out, in / 32] */
  scales: tf.Tensor;
  /** Added to the product [out]. */
  bias?: tf.Tensor;
}

/**
 * `x · rowsᵀ + bias`, of shape [..., out]. Differentiable in x and the bias.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function packedLinear(args: PackedLinearArgs): tf.Tensor {
  return tf.tidy(OP, () => {
    checkKeys(OP, args, ['x', 'words', 'scales', 'bias']);
    const x = toTensor(OP, 'x', args.x);
    const words = toTensor(OP, 'words', args.words, 'int32');
    const scales = toTensor(OP, 'scales', args.scales);
    const bias = toOptionalTensor(OP, 'bias', args.bias);
    checkNotEmpty(OP, 'x', x);
    checkRank(OP, 'scales', scales, 2, '[out, in / 32]');
    checkNotEmpty(OP, 'scales', scales);
    const perWord = perWordOf(OP, {words, scales});
    const [out, groups] = scales.shape as [number, number];
    const width = GROUP * groups;
    if (x.shape[x.rank - 1] !== width) {
      throw new Error(`${OP}: x must have ${width} columns, as the rows have, but has shape ${showShape(x.shape)}`);
    }
    checkShape(OP, 'bias', bias, [out], 'a value per output');
    if (x.rank === 2) return runPackedLinear({x, words, scales, bias}, {perWord})[0];
    const [y] = runPackedLinear({x: x.reshape([-1, width]), words, scales, bias}, {perWord});
    return y.reshape([...x.shape.slice(0, -1), out]);
  });
}

const OP = 'packedLinear';
