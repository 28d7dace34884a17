/**
 * Mamba-2 in files: transformers' `configuration_mamba2.py`, mamba_ssm's `config_mamba.py` and the arguments of its `Mamba2`. Their
 * gated norms differ where there are several groups: transformers normalizes all channels together, the original each group apart.
 */
import type {JsonObject, Published} from '../published';
import type {Mamba2Config} from './config';
import {headCount} from './config';

const huggingFaceNames = {
  dState: 'state_size',
  dConv: 'conv_kernel',
  expand: 'expand',
  headDim: 'head_dim',
  nGroups: 'n_groups',
  dtMin: 'time_step_min',
  dtMax: 'time_step_max',
  dtInitFloor: 'time_step_floor',
  dtLimit: 'time_step_limit',
  convBias: 'use_conv_bias',
  useBias: 'use_bias',
};

const originalNames = {
  dState: 'd_state',
  dConv: 'd_conv',
  expand: 'expand',
  headDim: 'headdim',
  nGroups: 'ngroups',
  aInitRange: 'A_init_range',
  dHasHeadDim: 'D_has_hdim',
  gatedNorm: 'rmsnorm',
  normBeforeGate: 'norm_before_gate',
  dtMin: 'dt_min',
  dtMax: 'dt_max',
  dtInitFloor: 'dt_init_floor',
  dtLimit: 'dt_limit',
  useBias: 'bias',
  convBias: 'conv_bias',
};

/** transformers demands it, and so must a file that states all of it. */
function headsObjection({num_heads, head_dim, hidden_size, expand}: JsonObject): string | undefined {
  const stated = [num_heads, head_dim, hidden_size, expand].every((value) => typeof value === 'number');
  const [heads, width, model, factor] = [num_heads, head_dim, hidden_size, expand] as number[];
  if (!stated || heads * width === Math.floor(factor * model)) return undefined;
  return `num_heads · head_dim, ${heads} · ${width}, must be expand · hidden_size, ${factor} · ${model}`;
}

function widthObjection({d_ssm}: JsonObject): string | undefined {
  const isWhole = d_ssm === undefined || d_ssm === null;
  return isWhole ? undefined : `d_ssm ${JSON.stringify(d_ssm)} is not supported, only null, all channels, is`;
}

export const publishedMamba2: Published = {
  huggingFace: [
    {
      modelType: 'mamba2',
      architecture: 'Mamba2ForCausalLM',
      names: huggingFaceNames,
      defaults: {nGroups: 8, normGroups: 1, tieEmbeddings: false, eosTokenIds: [2]},
      alongside: (config) => ({
        num_heads: headCount(config as Mamba2Config),
        chunk_size: 256, // of the algorithm, not of the model
        rescale_prenorm_residual: false,
      }),
      objection: headsObjection,
      fits: (config) => {
        const {gatedNorm, normBeforeGate, normGroups, dHasHeadDim} = config as Mamba2Config;
        return gatedNorm && !normBeforeGate && normGroups === 1 && !dHasHeadDim;
      },
    },
  ],
  stateSpaces: {
    layer: 'Mamba2',
    names: originalNames,
    additions: {normGroups: {name: 'norm_groups', implied: (config) => (config as Mamba2Config).nGroups}},
    // How it starts, how it is computed, and over how many processes.
    ignored: ['conv_init', 'chunk_size', 'use_mem_eff_path', 'process_group', 'sequence_parallel', 'd_ssm'],
    objection: widthObjection,
  },
};
