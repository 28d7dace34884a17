/** The layers of the public surface; importing them registers their classes for serialization. */
import type {CausalConv1DArgs} from './causalConv1d';
import {CausalConv1D} from './causalConv1d';
import type {MambaLayerArgs} from './mamba';
import {Mamba} from './mamba';
import type {MambaBlockArgs} from './mambaBlock';
import {MambaBlock} from './mambaBlock';
import type {RMSNormalizationArgs} from './rmsNormalization';
import {RMSNormalization} from './rmsNormalization';

/** A {@link Mamba} layer: [B,L,dModel] → the same shape. */
export function mamba(args: MambaLayerArgs = {}): Mamba {
  return new Mamba(args);
}

/** A {@link MambaBlock}: norm, mixer and residual sum. */
export function mambaBlock(args: MambaBlockArgs = {}): MambaBlock {
  return new MambaBlock(args);
}

/** An {@link RMSNormalization} layer. */
export function rmsNormalization(args: RMSNormalizationArgs = {}): RMSNormalization {
  return new RMSNormalization(args);
}

/** A {@link CausalConv1D} layer. */
export function causalConv1d(args: CausalConv1DArgs): CausalConv1D {
  return new CausalConv1D(args);
}
