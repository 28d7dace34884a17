/** A model small enough to run everywhere, with unlike sizes everywhere so that no two can be mixed up. */
import type {MambaConfig} from '../../src/config/config';
import {mambaLM, type MambaLM} from '../../src/lm/model';

export const smallConfig: MambaConfig = {vocabSize: 11, dModel: 6, nLayer: 2, dState: 3, dConv: 4, padVocabMultiple: 8};

export function smallModel(config: Partial<MambaConfig> = {}, seed = 3): MambaLM {
  return mambaLM({...smallConfig, ...config}, {seed});
}
