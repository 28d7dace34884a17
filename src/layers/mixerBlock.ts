/** The residual block of any mixer as a layer: what a language model stacks. */
import type * as tf from '@tensorflow/tfjs';
import {mixerNamed} from '../mixers';
import type {BlockConfig} from '../mixers/block';
import {residualBlock} from '../mixers/block';
import type {State} from '../mixers/mixer';
import {registerClass} from '../registerClass';
import type {SequenceOptions} from './mixerLayer';
import {MixerLayer} from './mixerLayer';
import type {LayerArgs} from './options';

/** The name of a mixer, and its options. */
export interface MixerBlockArgs extends LayerArgs, SequenceOptions {
  /** 'mamba1', 'mamba2', or a name that `registerMixer` knows. */
  mixer: string;
  epsilon?: number;
}

/** x + mixer(RMSNorm(x)); inputs, outputs and masks as those of {@link MixerLayer}, states those of the mixer. */
export class MixerBlock extends MixerLayer<BlockConfig, State, object> {
  static className = 'MixerBlock';

  constructor({mixer, ...args}: MixerBlockArgs) {
    super(residualBlock(mixerNamed(mixer)), args);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), mixer: this.mixer.name};
  }
}
registerClass(MixerBlock);
