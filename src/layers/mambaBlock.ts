/** A Mamba block as a layer: x + Mamba(RMSNorm(x)), what a deep model stacks. */
import type {BlockConfig} from '../mixers/block';
import {residualBlock} from '../mixers/block';
import {mamba1} from '../mixers/mamba1';
import type {Mamba1Options, MixerConfig} from '../mixers/mamba1/config';
import type {LayerState} from '../mixers/mamba1/run';
import {registerClass} from '../registerClass';
import type {MambaLayerArgs} from './mamba';
import {MixerLayer} from './mixerLayer';

/** The options of a block: those of its mixer and of its norm. */
export interface MambaBlockArgs extends MambaLayerArgs {
  /** ε of the norm (1e-5). */
  epsilon?: number;
}

/** The layer; inputs, outputs, states and masks as those of {@link Mamba}. */
export class MambaBlock extends MixerLayer<BlockConfig<MixerConfig>, LayerState, Mamba1Options & {epsilon?: number}> {
  static className = 'MambaBlock';

  constructor(args: MambaBlockArgs = {}) {
    super(residualBlock(mamba1), args);
  }
}
registerClass(MambaBlock);
