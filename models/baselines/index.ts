/**
 * What Mamba is compared with, each a mixer as somebody outside this package would write it; importing this makes them known by their
 * names. Sizes are such that two blocks of width 64 have about as many weights as two of Mamba's.
 */
import type {AnyMixer, MambaConfig} from '../../src';
import {registerMixer} from '../../src';
import {resolveConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import {h3} from './h3';
import {linearAttention} from './linearAttention';
import {s4d} from './s4d';
import {transformer} from './transformer';

export const baselines: readonly AnyMixer[] = [transformer, linearAttention, h3, s4d];
baselines.forEach(registerMixer);

/**
 * The model of a mixer at a size: its own fields beside those of every model. The Transformer's feed-forward is as wide as it takes to have
 * the weights of Mamba's block at that width; the others come close by themselves.
 */
export function baselineConfig(mixer: string, sizes: {vocabSize: number; dModel: number; nLayer: number}): MambaConfig {
  if (mixer !== transformer.name) return {...sizes, mixer};
  const {dModel} = sizes;
  const [one, two] = [1, 2].map((nLayer) => countParameters(resolveConfig({...sizes, nLayer})));
  const inAttention = 4 * dModel ** 2;
  const dHidden = 8 * Math.round((two - one - inAttention) / (3 * dModel) / 8);
  return {...sizes, mixer, ...{dHidden}};
}
