/**
 * Writes `config.json`: as Hugging Face's `MambaForCausalLM` and its like read it, or, for a model that transformers would compute
 * otherwise, in the form of the original repository, which can say it.
 */
import type {ResolvedMambaConfig} from '../config/config';
import {mixerOf} from '../mixers';
import type {HuggingFaceFamily} from '../mixers/published';
import type {CheckpointFormat} from './config';
import {familiesOf} from './config';
import type {FloatFormat} from './floats';
import type {JsonObject} from './json';

const dtypeNames: Record<FloatFormat, string> = {F32: 'float32', F16: 'float16', BF16: 'bfloat16'};

/** Fields that Hugging Face refuses unless they are written as floats, 1.0 and not 1. */
export const floatFields: readonly string[] = [
  'time_step_min',
  'time_step_max',
  'time_step_scale',
  'time_step_floor',
  'layer_norm_epsilon',
  'mixer_rms_eps',
];

/**
 * The configuration, and whose layout says it.
 *
 * @param wanted The layout that it must be.
 * @throws Error if none can.
 */
export function writtenConfig(
  config: ResolvedMambaConfig,
  format: FloatFormat,
  wanted?: CheckpointFormat,
): {json: JsonObject; layout: CheckpointFormat} {
  const mixer = mixerOf(config);
  const family = familiesOf(mixer).find(({fits}) => fits?.(config) ?? true);
  if (family && wanted !== 'state-spaces')
    return {json: huggingFaceConfig(config, family, format), layout: 'huggingface'};
  if (mixer.published?.stateSpaces && wanted !== 'huggingface')
    return {json: stateSpacesConfig(config), layout: 'state-spaces'};
  const which = wanted === undefined ? 'no published layout can' : `the layout ${wanted} cannot`;
  throw new Error(`savePretrained: ${which} say this configuration of the mixer ${mixer.name}`);
}

/** The mixer's fields under the names of a file. */
function ownFields(config: ResolvedMambaConfig, names: Readonly<Record<string, string>>): JsonObject {
  const values = Object.entries(names).map(([ours, theirs]) => [theirs, config[ours as keyof ResolvedMambaConfig]]);
  return Object.fromEntries(
    values.filter(([, value]) => !isNoLimit(value)).map(([name, value]) => [name, finite(value)]),
  );
}

/** What every reader takes unless told otherwise. */
function isNoLimit(value: unknown): boolean {
  return Array.isArray(value) && value[0] === 0 && value[1] === Infinity;
}

/** Infinity is no JSON; of what is computed in float32, the largest float32 is the same limit. */
function finite(value: unknown): unknown {
  return Array.isArray(value)
    ? value.map((entry: unknown) => (entry === Infinity ? 3.4028234663852886e38 : entry))
    : value;
}

function huggingFaceConfig(config: ResolvedMambaConfig, family: HuggingFaceFamily, format: FloatFormat): JsonObject {
  const {vocabSize, realVocabSize} = config;
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: vocabSize,
    // Not Hugging Face's, which has no name for it: rows from here on are padding.
    ...(realVocabSize < vocabSize && {real_vocab_size: realVocabSize}),
    hidden_size: config.dModel,
    num_hidden_layers: config.nLayer,
    ...ownFields(config, family.names),
    ...family.alongside?.(config),
    hidden_act: 'silu',
    layer_norm_epsilon: config.epsilon,
    residual_in_fp32: true,
    tie_word_embeddings: config.tieEmbeddings,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: eosTokenId(config),
    pad_token_id: config.padTokenId ?? null,
    torch_dtype: dtypeNames[format],
  };
}

/** One id as a number, as Hugging Face writes it, several as an array, none as null. */
export function eosTokenId({eosTokenIds}: ResolvedMambaConfig): number | number[] | null {
  return eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null);
}

function stateSpacesConfig(config: ResolvedMambaConfig): JsonObject {
  const {layer, names, additions = {}} = mixerOf(config).published!.stateSpaces!;
  const unusual = Object.entries(additions)
    .map(([ours, {name, implied}]) => [name, config[ours as keyof ResolvedMambaConfig], implied(config)])
    .filter(([, value, original]) => value !== original);
  const {vocabSize, realVocabSize, padVocabMultiple} = config;
  const isPadded = Math.ceil(realVocabSize / padVocabMultiple) * padVocabMultiple === vocabSize;
  return {
    d_model: config.dModel,
    n_layer: config.nLayer,
    d_intermediate: 0,
    vocab_size: isPadded ? realVocabSize : vocabSize,
    pad_vocab_size_multiple: isPadded ? padVocabMultiple : 1,
    tie_embeddings: config.tieEmbeddings,
    ssm_cfg: {layer, ...ownFields(config, names), ...Object.fromEntries(unusual)},
    rms_norm: true,
    // The original has no names for these and takes what is usual.
    ...(!isPadded && realVocabSize < vocabSize && {real_vocab_size: realVocabSize}),
    ...(config.epsilon !== 1e-5 && {norm_epsilon: config.epsilon}),
    residual_in_fp32: true,
    fused_add_norm: true,
  };
}
