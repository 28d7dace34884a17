/** Mamba-2 as a layer, alone and as a residual block; see `mixerLayer.ts` for what goes in and comes out. */
import type {BlockConfig} from '../mixers/block';
import {residualBlock} from '../mixers/block';
import {mamba2} from '../mixers/mamba2';
import type {Mamba2Config, Mamba2Options} from '../mixers/mamba2/config';
import type {Mamba2State} from '../mixers/mamba2/run';
import {registerClass} from '../registerClass';
import type {SequenceOptions} from './mixerLayer';
import {MixerLayer} from './mixerLayer';
import type {LayerArgs} from './options';

/** The options of a Mamba-2 layer; names and defaults are those of the paper's code. */
export interface Mamba2LayerArgs extends LayerArgs, SequenceOptions, Mamba2Options {}

/**
 * The Mamba-2 layer (Dao & Gu 2024, arXiv 2405.21060, section 7). expand · dModel must be a multiple of headDim, 64 unless given. Its
 * states are conv [B,dConv-1,dInner + 2·nGroups·dState] and ssm [B,dInner/headDim,headDim,dState].
 */
export class Mamba2 extends MixerLayer<Mamba2Config, Mamba2State, Mamba2Options> {
  static className = 'Mamba2';

  constructor(args: Mamba2LayerArgs = {}) {
    super(mamba2, args);
  }
}
registerClass(Mamba2);

/** A block: x + Mamba2(RMSNorm(x)), with one ε for both norms; inputs, outputs, states and masks as those of {@link Mamba2}. */
export class Mamba2Block extends MixerLayer<BlockConfig<Mamba2Config>, Mamba2State, Mamba2Options> {
  static className = 'Mamba2Block';

  constructor(args: Mamba2LayerArgs = {}) {
    super(residualBlock(mamba2), args);
  }
}
registerClass(Mamba2Block);
