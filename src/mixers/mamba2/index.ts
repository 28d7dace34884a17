/** The mixer of Mamba-2 (arXiv 2405.21060). */
import type {Mixer} from '../mixer';
import {checkStepSizes} from '../width';
import type {Mamba2Config} from './config';
import {configureMamba2, convWidth, headCount, mamba2Fields} from './config';
import {publishedMamba2} from './published';
import type {Mamba2State} from './run';
import {runMamba2, stepMamba2} from './run';
import type {Mamba2Weights} from './weights';
import {mamba2WeightSpecs} from './weights';

export const mamba2: Mixer<Mamba2Config, Mamba2State, Mamba2Weights> = {
  name: 'mamba2',
  fields: mamba2Fields,
  check: checkStepSizes,
  configure: configureMamba2,
  weights: mamba2WeightSpecs,
  states: {
    conv: (config) => [config.dConv - 1, convWidth(config)],
    ssm: (config) => [headCount(config), config.headDim, config.dState],
  },
  takesSequenceIds: true,
  lookBack: ({dConv}) => dConv - 1,
  run: runMamba2,
  step: stepMamba2,
  published: publishedMamba2,
};
