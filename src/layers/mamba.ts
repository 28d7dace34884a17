/** Mamba as a layer, linear in the length; see `mixerLayer.ts` for what goes in and comes out. */
import {mamba1} from '../mixers/mamba1';
import type {Mamba1Options, MixerConfig} from '../mixers/mamba1/config';
import type {LayerState} from '../mixers/mamba1/run';
import {registerClass} from '../registerClass';
import type {SequenceOptions} from './mixerLayer';
import {MixerLayer} from './mixerLayer';
import type {LayerArgs} from './options';

/** The options of a Mamba layer; names and defaults are those of the paper's code. */
export interface MambaLayerArgs extends LayerArgs, SequenceOptions, Mamba1Options {}

/**
 * The Mamba layer (Gu & Dao 2023, section 3.4); with `mixerEpsilon` FalconMamba's. Its states are conv [B,dConv-1,dInner] and
 * ssm [B,dInner,dState].
 */
export class Mamba extends MixerLayer<MixerConfig, LayerState, Mamba1Options> {
  static className = 'Mamba';

  constructor(args: MambaLayerArgs = {}) {
    super(mamba1, args);
  }
}
registerClass(Mamba);

/** The options of a {@link Mamba} layer with every default filled in. */
export type MambaOptions = Mamba['options'];
