/** Three sizes of two architectures, of as many weights and of one depth in what mixes positions and what does not. */
import type {MambaConfig} from '../../src/node';
import {resolveConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import '../baselines';

/** Bytes. */
const vocabSize = 256;

export const architectures = ['mamba', 'transformer'] as const;
export type Architecture = (typeof architectures)[number];

/** By about how many weights they have; as in the paper, two blocks of Mamba stand for one of attention and feed-forward. */
export const sizes = {
  '0.1M': {dModel: 64, nLayer: 4, peak: 4e-3},
  '0.4M': {dModel: 96, nLayer: 6, peak: 3e-3},
  '1.6M': {dModel: 192, nLayer: 6, peak: 2e-3},
};
export type Size = keyof typeof sizes;

/** A Transformer++'s feed-forward is as wide as it takes to have the weights of the Mamba of that size, about 8/3 of the width. */
export function configOf(architecture: Architecture, size: Size): MambaConfig {
  const {dModel, nLayer} = sizes[size];
  const mamba = {vocabSize, dModel, nLayer};
  if (architecture === 'mamba') return mamba;
  const attention = {vocabSize, dModel, nLayer: nLayer / 2, mixer: 'transformer'};
  const of = (dHidden: number) => countParameters(resolveConfig({...attention, ...{dHidden}}));
  const each = of(16) - of(8);
  const dHidden = 8 * Math.round((countParameters(resolveConfig(mamba)) - of(8)) / each) + 8;
  return {...attention, ...{dHidden}};
}
