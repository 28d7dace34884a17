/**
 * Reads `config.json`, in the two forms that Mamba checkpoints come in: Hugging Face's, with a `model_type`, and that of the
 * original state-spaces repository (`d_model`, `n_layer`, `ssm_cfg`). Which of our mixers a file means, and what it calls their fields,
 * the mixers say (`published.ts`). A setting that no model here can follow is refused by name; nothing that changes the numbers is
 * passed over.
 *
 * References: transformers/models/mamba/configuration_mamba.py, mamba_ssm/models/config_mamba.py.
 */
import type {MambaConfig, ResolvedMambaConfig} from '../config/config';
import {resolveConfig} from '../config/config';
import {knownMixers} from '../mixers';
import type {AnyMixer} from '../mixers/mixer';
import type {HuggingFaceFamily, StateSpacesLayer} from '../mixers/published';
import type {JsonObject} from './json';
import {JsonFields} from './jsonFields';
import {quantizationConfig} from './quantized/stored';
import {shown} from './quote';

/** Whose layout a checkpoint has. */
export type CheckpointFormat = 'huggingface' | 'state-spaces' | 'gguf';

/**
 * @param file What errors call the file.
 * @throws An error naming the file and the field.
 */
export function readConfig(file: string, json: JsonObject): {config: ResolvedMambaConfig; format: CheckpointFormat} {
  const fields = new JsonFields(file, json);
  const {config, format} = recognize(fields);
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
  const ids = new JsonFields(file, json).tokenIds('eos_token_id');
  const known = ids?.filter((id) => id < vocabSize);
  if (known?.length === ids?.length) return ids;
  warn(file, `eos_token_id ${shown(ids)} is not all below the vocabulary's size, ${vocabSize}; the rest is left out`);
  return known!.length === 0 ? undefined : known;
}

/** A mixer and one of the families that files know it by. */
interface FamilyOfMixer {
  mixer: AnyMixer;
  family: HuggingFaceFamily;
}

/** The families of a mixer; one that says nothing of files is a family under its own names. */
export function familiesOf(mixer: AnyMixer): readonly HuggingFaceFamily[] {
  const names = Object.fromEntries(Object.keys(mixer.fields).map((name) => [name, name]));
  return mixer.published?.huggingFace ?? [{modelType: mixer.name, architecture: mixer.name, names}];
}

function recognize(fields: JsonFields): {config: MambaConfig; format: CheckpointFormat} {
  const type = fields.string('model_type');
  if (type !== undefined) {
    const families = knownMixers().flatMap((mixer) => familiesOf(mixer).map((family) => ({mixer, family})));
    const found = families.find(({family}) => family.modelType === type);
    const known = families.map(({family}) => JSON.stringify(family.modelType));
    if (!found) return fields.refuse('model_type', type, listed(known));
    return {config: readHuggingFace(fields, found), format: 'huggingface'};
  }
  if (fields.has('d_model') && fields.has('n_layer')) {
    return {config: readStateSpaces(fields), format: 'state-spaces'};
  }
  throw new Error(`${fields.file} is no Mamba configuration: it has neither model_type nor d_model and n_layer`);
}

function readHuggingFace(fields: JsonFields, {mixer, family}: FamilyOfMixer): MambaConfig {
  const activation = fields.string('hidden_act') ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') fields.refuse('hidden_act', activation, '"silu" is');
  if (fields.boolean('rms_norm') === false) fields.refuse('rms_norm', false, 'true is');
  if (fields.has('quantization_config')) {
    const method = fields.object('quantization_config').value('quant_method');
    if (method !== quantizationConfig.quant_method) {
      throw new Error(`${fields.file}: weights quantized by ${shown(method)} are not supported, only by "q8_0"`);
    }
  }
  fields.heed(family.objection);
  const vocabSize = fields.required('vocab_size');
  const dModel = fields.required('hidden_size');
  const defaults: Partial<MambaConfig> = {eosTokenIds: [0], ...family.defaults};
  return {
    vocabSize,
    realVocabSize: fields.number('real_vocab_size'),
    dModel,
    nLayer: fields.required('num_hidden_layers'),
    mixer: mixer.name,
    ...defaults,
    ...withOneWidth(fields.file, ownFields(fields, mixer, family.names), dModel),
    epsilon: fields.number('layer_norm_epsilon'),
    tieEmbeddings: fields.boolean('tie_word_embeddings') ?? defaults.tieEmbeddings,
    // As transformers has it: a token of its own where the file is silent, none where it says null.
    eosTokenIds: fields.names('eos_token_id') ? (fields.tokenIds('eos_token_id') ?? []) : defaults.eosTokenIds,
    bosTokenId: readUnusedId(fields, 'bos_token_id', vocabSize),
    padTokenId: readUnusedId(fields, 'pad_token_id', vocabSize),
  };
}

/** Where `intermediate_size` says something else, that is the width, as in transformers, and `expand` says nothing. */
function withOneWidth(file: string, own: Partial<MambaConfig>, dModel: number): Partial<MambaConfig> {
  const {expand, dInner, ...rest} = own;
  if (expand === undefined || dInner === undefined || Math.abs(expand * dModel - dInner) < 1) return own;
  warn(file, `intermediate_size ${dInner} is not expand · hidden_size = ${expand * dModel}; it is followed`);
  return {...rest, dInner};
}

/** An id that nothing here uses, so that one that is no token's is no reason to refuse a model. Of a list, the first. */
function readUnusedId(fields: JsonFields, field: string, vocabSize: number): number | undefined {
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

function readStateSpaces(fields: JsonFields): MambaConfig {
  const ssm = fields.object('ssm_cfg');
  const name = ssm.string('layer') ?? 'Mamba1';
  const layers = knownMixers().flatMap((mixer) => {
    const layer = mixer.published?.stateSpaces;
    return layer ? [{mixer, layer}] : [];
  });
  const found = layers.find(({layer}) => layer.layer === name);
  if (!found) return ssm.refuse('layer', name, listed(layers.map(({layer}) => JSON.stringify(layer.layer))));
  const {mixer, layer} = found;
  const names = {...layer.names, ...additionalNames(layer)};
  const known = ['layer', ...Object.values(names), ...layer.ignored];
  const unknown = ssm.keys().find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Error(`${ssm.file} has ${shown(unknown)}, which is not supported`);
  ssm.heed(layer.objection);
  if (fields.boolean('rms_norm') === false) fields.refuse('rms_norm', false, 'true is');
  const width = fields.number('d_intermediate') ?? 0;
  if (width !== 0) fields.refuse('d_intermediate', width, '0, blocks without an MLP, is');
  const attention = fields.value('attn_layer_idx') ?? [];
  if (!Array.isArray(attention) || attention.length > 0) {
    fields.refuse('attn_layer_idx', attention, '[], a model without attention, is');
  }
  const vocabSize = fields.required('vocab_size');
  return {
    vocabSize,
    dModel: fields.required('d_model'),
    nLayer: fields.required('n_layer'),
    mixer: mixer.name,
    // Not the original's, any more than the additions: see `configWriter.ts`.
    realVocabSize: fields.number('real_vocab_size'),
    epsilon: fields.number('norm_epsilon'),
    padVocabMultiple: fields.number('pad_vocab_size_multiple') ?? 8,
    tieEmbeddings: fields.boolean('tie_embeddings'),
    ...ownFields(ssm, mixer, names),
    // The file does not know the tokenizer; the published models, recognized by their vocabulary, have GPT-NeoX's.
    eosTokenIds: [50277, 50280, 50288].includes(vocabSize) ? [0] : [],
  };
}

function additionalNames({additions = {}}: StateSpacesLayer): Record<string, string> {
  return Object.fromEntries(Object.entries(additions).map(([ours, {name}]) => [ours, name]));
}

/** The mixer's fields that the file states. */
function ownFields(fields: JsonFields, mixer: AnyMixer, names: Readonly<Record<string, string>>): Partial<MambaConfig> {
  const values = Object.entries(names).map(([ours, theirs]) => {
    return [ours, fields.valueFor(theirs, mixer.fields[ours])] as const;
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** '"a", "b" and "c" are' */
function listed(names: readonly string[]): string {
  if (names.length === 1) return `${names[0]} is`;
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are`;
}
