/** The mixer of Mamba (arXiv 2312.00752), and of FalconMamba. */
import type {Mixer} from '../mixer';
import {checkStepSizes} from '../width';
import type {MixerConfig} from './config';
import {configureMamba1, mamba1Fields} from './config';
import {publishedMamba1} from './published';
import type {LayerState} from './run';
import {runMamba1, stepMamba1} from './run';
import type {Mamba1Weights} from './weights';
import {mamba1WeightSpecs} from './weights';

export const mamba1: Mixer<MixerConfig, LayerState, Mamba1Weights> = {
  name: 'mamba1',
  fields: mamba1Fields,
  check: checkStepSizes,
  configure: configureMamba1,
  weights: mamba1WeightSpecs,
  states: {conv: ({dConv, dInner}) => [dConv - 1, dInner], ssm: ({dInner, dState}) => [dInner, dState]},
  takesSequenceIds: true,
  lookBack: ({dConv}) => dConv - 1,
  run: runMamba1,
  step: stepMamba1,
  published: publishedMamba1,
};
