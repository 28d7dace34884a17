/**
 * S4D-real (Gu et al. 2022, arXiv 2206.11893): the scan with nothing selective about it. Step size, B and C are weights, not functions of
 * the input, so that it is a convolution with a long filter, the same at every position.
 */
import * as tf from '@tensorflow/tfjs';
import type {Padding, Weights} from '../../src';
import {selectiveScan} from '../../src';
import {logRange, normal, ones, stepSizeBias} from '../../src/mixers/initializers';
import type {WeightSpec} from '../../src/mixers/weightSpec';
import {coefficient} from '../../src/mixers/weightSpec';

/** Its weights, for so many channels. */
export function diagonalSsmWeights(channels: number, dState: number): WeightSpec[] {
  const steps = stepSizeBias({dtMin: 1e-3, dtMax: 0.1, dtInitFloor: 1e-4});
  return [
    coefficient('ALog', 'A_log', [channels, dState], logRange),
    coefficient('B', 'B', [channels, dState], ones),
    coefficient('C', 'C', [channels, dState], normal(1)),
    coefficient('D', 'D', [channels], ones),
    coefficient('dtBias', 'dt_bias', [channels], steps),
  ];
}

/** u [B,L,channels] → y of the same shape; padding takes no step. */
export function diagonalSsm(
  weights: Weights,
  u: tf.Tensor3D,
  initialState: tf.Tensor3D | undefined,
  padding: Padding | undefined,
): ReturnType<typeof selectiveScan> {
  const step = (weights.dtBias as tf.Tensor).softplus().mul(tf.onesLike(u));
  return selectiveScan({
    u,
    delta: (padding ? step.mul(padding.mask) : step) as tf.Tensor3D,
    A: (weights.ALog as tf.Tensor).exp().neg() as tf.Tensor2D,
    B: weights.B as tf.Tensor2D,
    C: weights.C as tf.Tensor2D,
    D: weights.D as tf.Tensor1D,
    initialState,
  });
}
