/** The form of the tables of wrong calls. */
import * as tf from '@tensorflow/tfjs';

/** A good call of an op and what can be wrong with it. */
export interface WrongCalls {
  op: string;
  call(args: object): unknown;
  /** The arguments of a good call. */
  good(): Record<string, unknown>;
  /** The argument that is to blame, the arguments that are changed, and what the error says after `op: argument `. */
  wrong: [argument: string, change: () => Record<string, unknown>, message: string][];
}

export const float = (...shape: number[]) => tf.zeros(shape);
export const int = (...shape: number[]) => tf.zeros(shape, 'int32');
export const bool = (...shape: number[]) => tf.zeros(shape, 'bool');

/** A tensor that is no longer there. */
export function disposed(...shape: number[]): tf.Tensor {
  const tensor = float(...shape);
  tensor.dispose();
  return tensor;
}
