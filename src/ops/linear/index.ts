/**
 * A linear map over the last axis. TensorFlow.js has one, but its gradient takes slow paths on some backends; this op has its own,
 * and a place where a backend can put a better product.
 */
import * as tf from '@tensorflow/tfjs';
import {
  checkBoolean,
  checkKeys,
  checkNotEmpty,
  checkRank,
  checkShape,
  showShape,
  toOptionalTensor,
  toTensor,
} from '../check';
import './gradient';
import {runLinear} from './kernels';

/** The arguments of {@link linear}. */
export interface LinearArgs {
  /** Input [..., in]. */
  x: tf.Tensor;
  /** [in,out], or [out,in] with `transposeKernel`. */
  kernel: tf.Tensor;
  /** Added to the product [out]. */
  bias?: tf.Tensor;
  /** Whether the kernel is [out,in], as torch and an embedding have it. */
  transposeKernel?: boolean;
}

/**
 * `x · kernel + bias`, of shape [..., out]. Differentiable in every input.
 *
 * @throws Error naming the argument whose shape, dtype or type is wrong.
 */
export function linear(args: LinearArgs): tf.Tensor {
  return linearOutputs(args)[0];
}

/** @internal What the kernel gives: the same in one piece, or in these parts, which are cheaper to make at once, and behind them x. */
export function linearOutputs(args: LinearArgs, sizes?: number[], passes?: boolean): tf.Tensor[] {
  return tf.tidy('linear', () => {
    checkKeys(OP, args, ['x', 'kernel', 'bias', 'transposeKernel']);
    const {transposeKernel = false} = args;
    checkBoolean(OP, 'transposeKernel', transposeKernel);
    const x = toTensor(OP, 'x', args.x);
    const kernel = toTensor(OP, 'kernel', args.kernel);
    const bias = toOptionalTensor(OP, 'bias', args.bias);
    if (x.rank === 0) {
      throw new Error(`${OP}: x must have rank 1 or more, [..., in], but has shape ${showShape(x.shape)}`);
    }
    checkNotEmpty(OP, 'x', x);
    checkRank(OP, 'kernel', kernel, 2, transposeKernel ? '[out, in]' : '[in, out]');
    checkNotEmpty(OP, 'kernel', kernel);
    const width = x.shape[x.rank - 1];
    const [inAxis, outAxis] = transposeKernel ? [1, 0] : [0, 1];
    const out = kernel.shape[outAxis];
    const expected = transposeKernel ? [out, width] : [width, out];
    checkShape(OP, 'kernel', kernel, expected, `the width of x, ${width}, on axis ${inAxis}`);
    checkShape(OP, 'bias', bias, [out], 'a value per output');
    const attrs = {transposeKernel, sizes, passes};
    if (x.rank === 2) {
      return runLinear({x, kernel, bias}, attrs);
    }
    const outputs = runLinear({x: x.reshape([-1, width]), kernel, bias}, attrs);
    return outputs.map((y) => y.reshape([...x.shape.slice(0, -1), y.shape[1]!]));
  });
}

const OP = 'linear';
