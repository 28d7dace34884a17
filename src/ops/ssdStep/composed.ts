/** One step of Mamba-2's scan made of TensorFlow.js ops, for a backend without a kernel of its own: the recurrence, once. */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import {stepSizeComposed} from '../ssd/composed';
import type {StepSizeAttrs} from '../ssd/stepSize';
import type {SsdStepInput} from './kernels';
import {runSsdStep} from './kernels';

type Inputs = Record<'state' | 'u' | 'delta' | 'A' | 'B' | 'C', tf.Tensor> & {[K in SsdStepInput]?: tf.Tensor};

/** A product of matrices per group, states as [B·G,H·P/G,N]: of the small batches of decoding, one multiplication does all. */
export function ssdStepComposed(
  {state, u, delta, A, B, C, D, z, deltaBias}: Inputs,
  attrs: StepSizeAttrs,
): tf.Tensor[] {
  const [batch, heads, headDim, dState] = state.shape as [number, number, number, number];
  const groups = B.shape[1]!;
  const step = stepSizeComposed({delta, deltaBias}, attrs).expandDims(2); // [B,H,1]
  const decay = step.mul(A.expandDims(1)).exp().expandDims(3); // [B,H,1,1]
  const x = u.mul(step).reshape([batch, groups, (heads / groups) * headDim, 1]);
  const input = x.mul(B.expandDims(2)).reshape(state.shape);
  const next = state.mul(decay).add(input);
  const rows = next.reshape([batch * groups, (heads / groups) * headDim, dState]);
  const read = tf.matMul(rows, C.reshape([batch * groups, dState, 1])).reshape(u.shape);
  const y = D ? read.add(u.mul(D)) : read;
  return [z ? y.mul(z.mul(z.sigmoid())) : y, next];
}

offerComposed(runSsdStep, ssdStepComposed);
