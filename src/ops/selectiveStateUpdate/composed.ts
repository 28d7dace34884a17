/** One step made of TensorFlow.js ops: the composed scan at length 1. */
import type * as tf from '@tensorflow/tfjs';
import {selectiveScanComposed} from '../selectiveScan/composed';
import {asScan} from './asScan';
import {offerComposed} from '../kernel';
import type {StateUpdateAttrs, StateUpdateInput} from './kernels';
import {runSelectiveStateUpdate} from './kernels';

export function selectiveStateUpdateComposed(
  inputs: Record<StateUpdateInput, tf.Tensor>,
  {deltaSoftplus}: StateUpdateAttrs,
): tf.Tensor[] {
  const [y, state] = selectiveScanComposed(asScan(inputs), {deltaSoftplus, keepStates: false});
  return [y.squeeze([1]), state];
}

offerComposed(runSelectiveStateUpdate, selectiveStateUpdateComposed);
