/**
 * What Mamba is compared with, each a mixer as somebody outside this package would write it; importing this makes them known by their
 * names. Sizes are such that two blocks of width 64 have about as many weights as two of Mamba's.
 */
import type {AnyMixer, MambaConfig} from '../../src';
import {registerMixer} from '../../src';
import {h3} from './h3';
import {linearAttention} from './linearAttention';
import {s4d} from './s4d';
import {transformer} from './transformer';

export const baselines: readonly AnyMixer[] = [transformer, linearAttention, h3, s4d];
baselines.forEach(registerMixer);

/** The model of a mixer at a size: its own fields beside those of every model. */
export function baselineConfig(mixer: string, sizes: {vocabSize: number; dModel: number; nLayer: number}): MambaConfig {
  // Attention's two thirds of a block leave the feed-forward fewer weights than Llama's share, to match Mamba's count.
  const dHidden = 8 * Math.round((11 * sizes.dModel) / 64);
  const own = mixer === 'transformer' ? {dHidden} : {};
  return {...sizes, mixer, ...own};
}
