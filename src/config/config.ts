/**
 * The configuration of a language model: the numbers that fix its architecture and its initialisation. Plain data and pure functions,
 * because layers, models and checkpoint formats are all built on it. The fields of the mixer are the mixer's own (`src/mixers`).
 */
import {mixerOf} from '../mixers';
import {blockFields} from '../mixers/block';
import type {Fields} from '../mixers/fields';
import {didYouMean, flag, positiveInteger, readFields, show, wrongField} from '../mixers/fields';
import type {Mamba1Options, MixerConfig} from '../mixers/mamba1/config';
import type {Mamba2Options} from '../mixers/mamba2/config';
import type {AnyMixer} from '../mixers/mixer';
import {publishedNames} from '../mixers/published';
import type {PresetName} from './presets';
import {presets} from './presets';
import {countParameters} from './weightTable';

/** What every model has, whatever its mixer. */
export interface ModelConfig {
  /** Number of tokens, before padding to `padVocabMultiple`. */
  vocabSize: number;
  /** Width of the residual stream. */
  dModel: number;
  /** Number of blocks. */
  nLayer: number;
  /** What mixes along the sequence in each block: 'mamba1', 'mamba2', or one that `registerMixer` knows ('mamba1'). */
  mixer?: string;
  /** ε of every block's and the last RMSNorm (1e-5). */
  epsilon?: number;
  /** Whether the head is the embedding, transposed (true). */
  tieEmbeddings?: boolean;
  /** The vocabulary is padded with unused rows to a multiple of this (1). */
  padVocabMultiple?: number;
  /**
   * How many of the `vocabSize` rows are tokens, where `vocabSize` is padded already, as it is in a resolved configuration.
   * Left out, all are.
   */
  realVocabSize?: number;
  /** Tokens that end a text; `generate` stops at them (none). */
  eosTokenIds?: number[];
  /** Kept for whoever reads the saved checkpoint; nothing here uses them. */
  bosTokenId?: number;
  padTokenId?: number;
}

/** What a user writes; every field with a default may be left out. Fields that the mixer does not have are refused. */
export interface MambaConfig extends ModelConfig, Mamba1Options, Mamba2Options {}

/**
 * A checked configuration with every value filled in; fields of other mixers are absent. `vocabSize` is the padded width of embedding
 * and logits; `realVocabSize` is the number of tokens, so ids from there on are padding and never generated. It is a `MambaConfig`
 * itself, and resolving it again changes nothing.
 */
export type ResolvedMambaConfig = Required<Omit<ModelConfig, 'bosTokenId' | 'padTokenId' | 'mixer'>> &
  Pick<ModelConfig, 'bosTokenId' | 'padTokenId' | 'mixer'> &
  MixerConfig &
  Omit<Mamba2Options, keyof MixerConfig> & {expand: number};

const isTokenIds = (value: unknown) => Array.isArray(value);
const anyId = {fallback: undefined, expected: 'a token id', type: 'number', holds: Number.isSafeInteger} as const;

const modelFields: Fields<ModelConfig> = {
  vocabSize: positiveInteger(),
  dModel: positiveInteger(),
  nLayer: positiveInteger(),
  mixer: {fallback: 'mamba1', expected: 'a name', type: 'string', holds: (value) => typeof value === 'string'},
  ...blockFields,
  tieEmbeddings: flag(true),
  padVocabMultiple: positiveInteger(1),
  realVocabSize: positiveInteger(),
  eosTokenIds: {fallback: [], expected: 'an array of token ids', type: 'object', holds: isTokenIds},
  bosTokenId: anyId,
  padTokenId: anyId,
};

const OWNER = 'MambaConfig';

/** What config.json, or other libraries, call the fields of every model. */
const elsewhere = {
  hidden_size: 'dModel',
  num_hidden_layers: 'nLayer',
  num_layers: 'nLayer',
  layer_norm_epsilon: 'epsilon',
  tie_word_embeddings: 'tieEmbeddings',
  pad_vocab_size_multiple: 'padVocabMultiple',
  eos_token_id: 'eosTokenIds',
};

/**
 * Fills in every default and checks every value.
 *
 * @param config A configuration or the name of a preset.
 * @throws An error that names the field, what was expected and what was given.
 */
export function resolveConfig(config: MambaConfig | PresetName): ResolvedMambaConfig {
  if (typeof config === 'string') {
    if (!Object.hasOwn(presets, config)) mustBe(`one of ${Object.keys(presets).join(', ')}`, config);
    config = presets[config];
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) mustBe('an object', config);
  const given = withoutUndefined(config);
  const model = readFields(OWNER, modelFields, given) as Required<ModelConfig>;
  const mixer = mixerOf(model);
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(modelFields, name) && !Object.hasOwn(mixer.fields, name)) throw unknownField(name, mixer);
  }
  // After those that are not known: who writes hidden_size leaves dModel out.
  for (const name of ['vocabSize', 'dModel', 'nLayer'] as const) {
    if (model[name] === undefined) throw wrongField(OWNER, name, modelFields[name].expected, undefined);
  }
  const own = readFields(OWNER, mixer.fields, given);
  mixer.check?.(OWNER, own);
  const mixerConfig = {...own, ...(mixer.configure(OWNER, own, model.dModel) as MixerConfig)};
  checkTokenIds(model);
  const {mixer: name, ...rest} = model;
  const resolved = {
    ...rest,
    ...mixerConfig,
    ...agreeingWidth(mixerConfig, given),
    ...vocabulary(model),
    ...(name !== 'mamba1' && {mixer: name}),
    eosTokenIds: [...model.eosTokenIds],
  } as ResolvedMambaConfig;
  if (!Number.isSafeInteger(countParameters(resolved))) {
    throw new Error(`${OWNER}: a model of ${countParameters(resolved)} parameters is out of reach`);
  }
  return resolved;
}

/** The size padded, and the number of tokens in it. */
function vocabulary({
  vocabSize,
  padVocabMultiple,
  realVocabSize = vocabSize,
}: ModelConfig & {padVocabMultiple: number}) {
  if (realVocabSize > vocabSize)
    throw wrongField(OWNER, 'realVocabSize', `at most vocabSize, ${vocabSize}`, realVocabSize);
  return {vocabSize: Math.ceil(vocabSize / padVocabMultiple) * padVocabMultiple, realVocabSize};
}

function checkTokenIds(model: Required<ModelConfig>): void {
  const {vocabSize} = vocabulary(model);
  const check = (name: string, id: unknown) => {
    if (!(Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabSize)) {
      throw wrongField(OWNER, name, `a token id below vocabSize, ${vocabSize}`, id);
    }
  };
  for (const id of model.eosTokenIds) check('eosTokenIds', id);
  for (const name of ['bosTokenId', 'padTokenId'] as const) {
    if (model[name] !== undefined) check(name, model[name]);
  }
}

/** `expand` and `dInner`, whichever of them was given; both must agree. */
function agreeingWidth(
  {dInner, dModel}: {dInner?: number; dModel: number},
  given: {expand?: number; dInner?: number},
): {expand?: number} {
  if (given.dInner === undefined || dInner === undefined) return {};
  // The product is rounded down, and may itself be off in its last bit: dInner / dModel · dModel.
  if (given.expand !== undefined && Math.abs(given.expand * dModel - dInner) >= 1) {
    throw wrongField(OWNER, 'dInner', `expand · dModel = ${given.expand * dModel}, as expand is given too`, dInner);
  }
  return {expand: factorOf(dInner, dModel, given.expand)};
}

/** An `expand` that gives dInner again where a file states it alone: its product with the width is rounded down. */
function factorOf(dInner: number, dModel: number, expand = dInner / dModel): number {
  if (Math.floor(expand * dModel) === dInner) return expand;
  const factor = dInner / dModel;
  return Math.floor(factor * dModel) === dInner ? factor : factor * (1 + Number.EPSILON);
}

function unknownField(name: string, mixer: AnyMixer): Error {
  const known = [...Object.keys(modelFields), ...Object.keys(mixer.fields)];
  const hint = didYouMean(name, known, {...elsewhere, ...publishedNames(mixer)});
  return new Error(`${OWNER} has no field ${name}; with the mixer ${mixer.name} it has ${known.join(', ')}${hint}`);
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

function mustBe(expected: string, given: unknown): never {
  throw new Error(`${OWNER} must be ${expected}, but is ${show(given)}`);
}
