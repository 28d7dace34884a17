/** The layers of the public surface; importing them registers their classes for serialization. */
import type * as tf from '@tensorflow/tfjs';
import type {CausalConv1DArgs} from './causalConv1d';
import {CausalConv1D} from './causalConv1d';
import type {LastTokenArgs} from './lastToken';
import {LastToken} from './lastToken';
import type {MambaLayerArgs} from './mamba';
import {Mamba} from './mamba';
import type {Mamba2LayerArgs} from './mamba2';
import {Mamba2, Mamba2Block} from './mamba2';
import type {MambaBlockArgs} from './mambaBlock';
import {MambaBlock} from './mambaBlock';
import type {RMSNormalizationArgs} from './rmsNormalization';
import {RMSNormalization} from './rmsNormalization';

/**
 * What `tf.layers.bidirectional` wraps. Its type asks for tfjs's own `RNN` class; at run time it uses the options and methods that
 * Mamba has as well. Only `cell` and what belongs to it is absent.
 */
export type Recurrent = Parameters<typeof tf.layers.bidirectional>[0]['layer'];

/**
 * A {@link Mamba} layer: [B,L,dModel] → the same shape. For both directions `tf.layers.bidirectional({layer: layers.mamba(), mergeMode: 'ave'})`, which
 * also concatenates ('concat'), sums ('sum') or multiplies ('mul').
 */
export function mamba(args: MambaLayerArgs = {}): Mamba & Recurrent {
  return new Mamba(args) as Mamba & Recurrent;
}

/** A {@link MambaBlock}: norm, mixer and residual sum. */
export function mambaBlock(args: MambaBlockArgs = {}): MambaBlock & Recurrent {
  return new MambaBlock(args) as MambaBlock & Recurrent;
}

/** A {@link Mamba2} layer: [B,L,dModel] → the same shape. */
export function mamba2(args: Mamba2LayerArgs = {}): Mamba2 & Recurrent {
  return new Mamba2(args) as Mamba2 & Recurrent;
}

/** A {@link Mamba2Block}: norm, mixer and residual sum. */
export function mamba2Block(args: Mamba2LayerArgs = {}): Mamba2Block & Recurrent {
  return new Mamba2Block(args) as Mamba2Block & Recurrent;
}

/** An {@link RMSNormalization} layer. */
export function rmsNormalization(args: RMSNormalizationArgs = {}): RMSNormalization {
  return new RMSNormalization(args);
}

/** A {@link LastToken} layer: [B,L,channels] → [B,channels], the last position that is no padding. */
export function lastToken(args: LastTokenArgs = {}): LastToken {
  return new LastToken(args);
}

/** A {@link CausalConv1D} layer. */
export function causalConv1d(args: CausalConv1DArgs): CausalConv1D {
  return new CausalConv1D(args);
}
