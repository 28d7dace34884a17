/**
 * Reads and writes `config.json`, in the two forms that Mamba checkpoints come in: Hugging Face's (`model_type: "mamba"`)
 * and that of the original state-spaces repository (`d_model`, `n_layer`, `ssm_cfg`). A setting that this model cannot
 * follow is refused by name; nothing that changes the numbers is passed over.
 *
 * References: transformers/models/mamba/configuration_mamba.py, mamba_ssm/models/config_mamba.py.
 */
import {resolveConfig, type MambaConfig, type ResolvedMambaConfig} from '../lm/config';
import type {FloatFormat} from './floats';
import {isObject, type JsonObject} from './json';
import {shown} from './quote';

/** Whose layout a checkpoint has. */
export type CheckpointFormat = 'huggingface' | 'state-spaces';

/**
 * @param file What errors call the file.
 * @throws An error naming the file and the field.
 */
export function readConfig(file: string, json: JsonObject): {config: ResolvedMambaConfig; format: CheckpointFormat} {
  const fields = new Fields(file, json);
  const format = recognize(fields);
  const config = format === 'huggingface' ? readHuggingFace(fields) : readStateSpaces(fields);
  try {
    return {config: resolveConfig(config), format};
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, {cause: error});
  }
}

/**
 * The ids that end a text according to `generation_config.json`, which has the last word; undefined if it says nothing. Ids
 * beyond the vocabulary, which no text can have, are left out with a warning: the file is often another model's.
 */
export function readEosTokenIds(file: string, json: JsonObject, vocabSize: number): number[] | undefined {
  const ids = new Fields(file, json).tokenIds('eos_token_id');
  const known = ids?.filter((id) => id < vocabSize);
  if (known?.length === ids?.length) return ids;
  warn(file, `eos_token_id ${shown(ids)} is not all below the vocabulary's size, ${vocabSize}; the rest is left out`);
  return known!.length === 0 ? undefined : known;
}

function recognize(fields: Fields): CheckpointFormat {
  const type = fields.string('model_type');
  if (type === 'mamba') return 'huggingface';
  if (type !== undefined) fields.refuse('model_type', type, '"mamba" is');
  if (fields.has('d_model') && fields.has('n_layer')) return 'state-spaces';
  throw new Error(`${fields.file} is no Mamba configuration: it has neither model_type nor d_model and n_layer`);
}

function readHuggingFace(fields: Fields): MambaConfig {
  const activation = fields.string('hidden_act') ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') fields.refuse('hidden_act', activation, '"silu" is');
  if (fields.boolean('rms_norm') === false) fields.refuse('rms_norm', false, 'true is');
  if (fields.has('quantization_config')) throw new Error(`${fields.file}: quantized weights are not supported`);
  const rank = fields.value('time_step_rank');
  const vocabSize = fields.required('vocab_size');
  const dModel = fields.required('hidden_size');
  return {
    vocabSize,
    realVocabSize: fields.number('real_vocab_size'),
    dModel,
    nLayer: fields.required('num_hidden_layers'),
    dState: fields.number('state_size'),
    dConv: fields.number('conv_kernel'),
    expand: readExpand(fields, dModel),
    dInner: fields.number('intermediate_size'),
    dtRank: rank === 'auto' ? rank : fields.number('time_step_rank'),
    dtMin: fields.number('time_step_min'),
    dtMax: fields.number('time_step_max'),
    dtInit: fields.string('time_step_init_scheme') as MambaConfig['dtInit'],
    dtScale: fields.number('time_step_scale'),
    dtInitFloor: fields.number('time_step_floor'),
    convBias: fields.boolean('use_conv_bias'),
    useBias: fields.boolean('use_bias'),
    epsilon: fields.number('layer_norm_epsilon'),
    tieEmbeddings: fields.boolean('tie_word_embeddings'),
    // As transformers has it: 0 where the file is silent, none where it says null.
    eosTokenIds: fields.names('eos_token_id') ? (fields.tokenIds('eos_token_id') ?? []) : [0],
    bosTokenId: readUnusedId(fields, 'bos_token_id', vocabSize),
    padTokenId: readUnusedId(fields, 'pad_token_id', vocabSize),
  };
}

/** Where `intermediate_size` says something else, that is the width, as in transformers, and `expand` says nothing. */
function readExpand(fields: Fields, dModel: number): number | undefined {
  const [expand, dInner] = [fields.number('expand'), fields.number('intermediate_size')];
  if (expand === undefined || dInner === undefined || Math.abs(expand * dModel - dInner) < 1) return expand;
  warn(fields.file, `intermediate_size ${dInner} is not expand · hidden_size = ${expand * dModel}; it is followed`);
  return undefined;
}

/** An id that nothing here uses, so that one that is no token's is no reason to refuse a model. Of a list, the first. */
function readUnusedId(fields: Fields, field: string, vocabSize: number): number | undefined {
  const value = fields.value(field);
  const id: unknown = Array.isArray(value) ? value[0] : value;
  if (id === undefined) return undefined;
  if (!Number.isSafeInteger(id)) {
    throw new Error(`${fields.file}: ${field} must be a token id, but is ${shown(value)}`);
  }
  if ((id as number) >= 0 && (id as number) < vocabSize) return id as number;
  warn(fields.file, `${field} ${shown(value)} is no token of a vocabulary of ${vocabSize}; it is left out`);
  return undefined;
}

function warn(file: string, message: string): void {
  console.warn(`${file}: ${message}`);
}

/** Every argument of the original `Mamba` layer; `use_fast_path` chooses an implementation, not a result. */
const ssmArguments = new Set([
  'layer',
  'd_state',
  'd_conv',
  'expand',
  'dt_rank',
  'dt_min',
  'dt_max',
  'dt_init',
  'dt_scale',
  'dt_init_floor',
  'conv_bias',
  'bias',
  'use_fast_path',
]);

function readStateSpaces(fields: Fields): MambaConfig {
  const ssm = fields.object('ssm_cfg');
  const layer = ssm.string('layer') ?? 'Mamba1';
  if (layer !== 'Mamba1') ssm.refuse('layer', layer, '"Mamba1" is');
  const unknown = ssm.keys().find((key) => !ssmArguments.has(key));
  if (unknown !== undefined) throw new Error(`${ssm.file} has ${shown(unknown)}, which is not supported`);
  if (fields.boolean('rms_norm') === false) fields.refuse('rms_norm', false, 'true is');
  const width = fields.number('d_intermediate') ?? 0;
  if (width !== 0) fields.refuse('d_intermediate', width, '0, blocks without an MLP, is');
  const attention = fields.value('attn_layer_idx') ?? [];
  if (!Array.isArray(attention) || attention.length > 0) {
    fields.refuse('attn_layer_idx', attention, '[], a model without attention, is');
  }
  const vocabSize = fields.required('vocab_size');
  const rank = ssm.value('dt_rank');
  return {
    vocabSize,
    dModel: fields.required('d_model'),
    nLayer: fields.required('n_layer'),
    padVocabMultiple: fields.number('pad_vocab_size_multiple') ?? 8,
    tieEmbeddings: fields.boolean('tie_embeddings'),
    dState: ssm.number('d_state'),
    dConv: ssm.number('d_conv'),
    expand: ssm.number('expand'),
    dtRank: rank === 'auto' ? rank : ssm.number('dt_rank'),
    dtMin: ssm.number('dt_min'),
    dtMax: ssm.number('dt_max'),
    dtInit: ssm.string('dt_init') as MambaConfig['dtInit'],
    dtScale: ssm.number('dt_scale'),
    dtInitFloor: ssm.number('dt_init_floor'),
    convBias: ssm.boolean('conv_bias'),
    useBias: ssm.boolean('bias'),
    // The file does not know the tokenizer; the published models, recognized by their vocabulary, have GPT-NeoX's.
    eosTokenIds: vocabSize === 50277 || vocabSize === 50280 ? [0] : [],
  };
}

const dtypeNames: Record<FloatFormat, string> = {F32: 'float32', F16: 'float16', BF16: 'bfloat16'};

/** Fields that Hugging Face refuses unless they are written as floats, 1.0 and not 1. */
export const floatFields: readonly string[] = [
  'time_step_min',
  'time_step_max',
  'time_step_scale',
  'time_step_floor',
  'layer_norm_epsilon',
];

/** The configuration as Hugging Face's `MambaForCausalLM` reads it. */
export function huggingFaceConfig(config: ResolvedMambaConfig, format: FloatFormat): JsonObject {
  const {vocabSize, realVocabSize} = config;
  return {
    architectures: ['MambaForCausalLM'],
    model_type: 'mamba',
    vocab_size: vocabSize,
    // Not Hugging Face's, which has no name for it: rows from here on are padding.
    ...(realVocabSize < vocabSize && {real_vocab_size: realVocabSize}),
    hidden_size: config.dModel,
    num_hidden_layers: config.nLayer,
    state_size: config.dState,
    conv_kernel: config.dConv,
    expand: config.expand,
    intermediate_size: config.dInner,
    time_step_rank: config.dtRank,
    time_step_min: config.dtMin,
    time_step_max: config.dtMax,
    time_step_init_scheme: config.dtInit,
    time_step_scale: config.dtScale,
    time_step_floor: config.dtInitFloor,
    use_conv_bias: config.convBias,
    use_bias: config.useBias,
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

/** Typed access to a JSON object; null counts as absent, as in Python's configurations. */
class Fields {
  constructor(
    readonly file: string,
    private readonly json: JsonObject,
  ) {}

  keys(): string[] {
    return Object.keys(this.json);
  }

  names(field: string): boolean {
    return Object.hasOwn(this.json, field);
  }

  has(field: string): boolean {
    return this.value(field) !== undefined;
  }

  value(field: string): unknown {
    return this.names(field) ? (this.json[field] ?? undefined) : undefined;
  }

  number(field: string): number | undefined {
    return this.typed(field, 'number') as number | undefined;
  }

  boolean(field: string): boolean | undefined {
    return this.typed(field, 'boolean') as boolean | undefined;
  }

  string(field: string): string | undefined {
    return this.typed(field, 'string') as string | undefined;
  }

  required(field: string): number {
    const value = this.number(field);
    if (value === undefined) throw new Error(`${this.file} lacks ${field}`);
    return value;
  }

  tokenIds(field: string): number[] | undefined {
    const value = this.value(field);
    if (value === undefined) return undefined;
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) {
      throw new Error(`${this.file}: ${field} must be a token id or an array of them, but is ${shown(value)}`);
    }
    return ids as number[];
  }

  object(field: string): Fields {
    const value = this.value(field) ?? {};
    if (!isObject(value)) throw new Error(`${this.file}: ${field} must be an object, but is ${shown(value)}`);
    return new Fields(`${this.file}: ${field}`, value);
  }

  refuse(field: string, value: unknown, supported: string): never {
    throw new Error(`${this.file}: ${field} ${shown(value)} is not supported, only ${supported}`);
  }

  private typed(field: string, type: 'number' | 'boolean' | 'string'): unknown {
    const value = this.value(field);
    if (value !== undefined && typeof value !== type) {
      throw new Error(`${this.file}: ${field} must be a ${type}, but is ${shown(value)}`);
    }
    return value;
  }
}
