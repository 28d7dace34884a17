/** What the fused step of a mixer hands its kernel of a block's weights. */
import {isTensorflowOnCpu} from '../backends/traits';
import type {ChainBlock} from '../ops/chain';
import type {State, Weights} from './mixer';

/**
 * The weights and states of blocks under the names that a kernel has for them.
 *
 * @returns Undefined where there is a weight that the kernel of the current backend does not take: one with a correction beside it, or,
 * but for TensorFlow on a CPU, a packed one.
 */
export function kernelBlocks<Name extends string>(
  blocks: ReadonlyArray<{weights: Weights}>,
  states: readonly State[],
  names: Record<string, Name>,
): Array<ChainBlock<Name>> | undefined {
  const takesPacked = isTensorflowOnCpu();
  const inputs: Array<ChainBlock<Name>> = [];
  for (const [i, {weights}] of blocks.entries()) {
    const block: Required<ChainBlock<Name>> = {floats: {...states[i]} as ChainBlock<Name>['floats'], words: {}};
    for (const [name, weight] of Object.entries(weights)) {
      if (weight === undefined) continue;
      if (!('form' in weight)) {
        block.floats[names[name]] = weight;
      } else if (weight.form === 'dense') {
        block.floats[names[name]] = weight.value;
      } else if (weight.form !== 'lora' && takesPacked) {
        block.words[names[name]] = weight.words;
        if (weight.form === 'packed') block.floats[names[name]] = weight.scales;
      } else {
        return undefined;
      }
    }
    inputs.push(block);
  }
  return inputs;
}
