/** What the fused step of a mixer hands its kernel of a block's weights. */
import type * as tf from '@tensorflow/tfjs';
import type {Weights} from './mixer';

/**
 * The weights of a block under the names that a kernel has for them.
 *
 * @returns Undefined where one is not plain: packed, or with a correction beside it.
 */
export function denseWeights<Name extends string>(
  weights: Weights,
  names: Record<string, Name>,
): {[N in Name]?: tf.Tensor} | undefined {
  const inputs: {[N in Name]?: tf.Tensor} = {};
  for (const [name, weight] of Object.entries(weights)) {
    if (weight === undefined) continue;
    if (!('form' in weight)) inputs[names[name]] = weight;
    else if (weight.form === 'dense') inputs[names[name]] = weight.value;
    else return undefined;
  }
  return inputs;
}
