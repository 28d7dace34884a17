/**
 * Mamba-1 in files: transformers' `configuration_mamba.py` and `configuration_falcon_mamba.py`, mamba_ssm's `config_mamba.py` and the
 * arguments of its `Mamba`.
 */
import type {Published} from '../published';
import type {MixerConfig} from './config';

const names = {
  dState: 'state_size',
  dConv: 'conv_kernel',
  expand: 'expand',
  dInner: 'intermediate_size',
  dtRank: 'time_step_rank',
  dtMin: 'time_step_min',
  dtMax: 'time_step_max',
  dtInit: 'time_step_init_scheme',
  dtScale: 'time_step_scale',
  dtInitFloor: 'time_step_floor',
  convBias: 'use_conv_bias',
  useBias: 'use_bias',
};

export const publishedMamba1: Published = {
  huggingFace: [
    {
      modelType: 'mamba',
      architecture: 'MambaForCausalLM',
      names,
      fits: (config) => (config as MixerConfig).mixerEpsilon === undefined,
    },
    {
      modelType: 'falcon_mamba',
      architecture: 'FalconMambaForCausalLM',
      names: {...names, mixerEpsilon: 'mixer_rms_eps'},
      defaults: {mixerEpsilon: 1e-6},
    },
  ],
  stateSpaces: {
    layer: 'Mamba1',
    names: {
      dState: 'd_state',
      dConv: 'd_conv',
      expand: 'expand',
      dtRank: 'dt_rank',
      dtMin: 'dt_min',
      dtMax: 'dt_max',
      dtInit: 'dt_init',
      dtScale: 'dt_scale',
      dtInitFloor: 'dt_init_floor',
      convBias: 'conv_bias',
      useBias: 'bias',
    },
    ignored: ['use_fast_path'], // an implementation, not a result
  },
};
