/**
 * The configuration of a Mamba language model: the numbers that fix its architecture and its initialisation. Plain data and
 * pure functions, because both the model and the checkpoint formats are built on it.
 */

/** What a user writes; every field with a default may be left out. */
export interface MambaConfig {
  /** Number of tokens, before padding to `padVocabMultiple`. */
  vocabSize: number;
  /** Width of the residual stream. */
  dModel: number;
  /** Number of blocks. */
  nLayer: number;
  /** Size of the SSM state of a channel, N (16). */
  dState?: number;
  /** Width of the causal convolution, K (4). */
  dConv?: number;
  /** dInner / dModel (2). */
  expand?: number;
  /** Number of channels of the convolution and the scan (expand · dModel, rounded down). */
  dInner?: number;
  /** Rank of the projection to the step size; 'auto', the default, is ⌈dModel / 16⌉. */
  dtRank?: number | 'auto';
  /** Range of the initial step sizes (0.001 to 0.1). */
  dtMin?: number;
  dtMax?: number;
  /** How dt_proj.weight starts: 'random', the default, is U(±dtRank^-½ · dtScale), 'constant' the upper end of that. */
  dtInit?: 'random' | 'constant';
  /** Factor of dt_proj.weight's start (1). */
  dtScale?: number;
  /** Smallest initial step size (1e-4). */
  dtInitFloor?: number;
  /** Whether the convolution has a bias (true). */
  convBias?: boolean;
  /** Whether in_proj and out_proj have a bias (false). */
  useBias?: boolean;
  /** ε of every RMSNorm (1e-5). */
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

/**
 * A checked configuration with every value filled in. `vocabSize` is the padded width of embedding and logits;
 * `realVocabSize` is the number of tokens, so ids from there on are padding and never generated. It is a `MambaConfig`
 * itself, and resolving it again changes nothing.
 */
export type ResolvedMambaConfig = Required<Omit<MambaConfig, 'dtRank' | 'bosTokenId' | 'padTokenId'>> &
  Pick<MambaConfig, 'bosTokenId' | 'padTokenId'> & {dtRank: number};

const published = (dModel: number, nLayer: number): MambaConfig => ({
  vocabSize: 50277,
  padVocabMultiple: 8,
  eosTokenIds: [0],
  dModel,
  nLayer,
});

/** The published sizes (arXiv 2312.00752, table 12), with the GPT-NeoX tokenizer's 50,277 tokens padded to 50,280. */
export const presets = {
  'mamba-130m': published(768, 24),
  'mamba-370m': published(1024, 48),
  'mamba-790m': published(1536, 48),
  'mamba-1.4b': published(2048, 48),
  'mamba-2.8b': published(2560, 64),
} satisfies Record<string, MambaConfig>;

/** The name of a published size. */
export type PresetName = keyof typeof presets;

const defaults = {
  dState: 16,
  dConv: 4,
  dtMin: 0.001,
  dtMax: 0.1,
  dtInit: 'random',
  dtScale: 1,
  dtInitFloor: 1e-4,
  convBias: true,
  useBias: false,
  epsilon: 1e-5,
  tieEmbeddings: true,
  padVocabMultiple: 1,
  eosTokenIds: [] as number[],
} as const;

const fields: Record<keyof MambaConfig, true> = {
  vocabSize: true,
  dModel: true,
  nLayer: true,
  dState: true,
  dConv: true,
  expand: true,
  dInner: true,
  dtRank: true,
  dtMin: true,
  dtMax: true,
  dtInit: true,
  dtScale: true,
  dtInitFloor: true,
  convBias: true,
  useBias: true,
  epsilon: true,
  tieEmbeddings: true,
  padVocabMultiple: true,
  realVocabSize: true,
  eosTokenIds: true,
  bosTokenId: true,
  padTokenId: true,
};

/**
 * Fills in every default and checks every value.
 *
 * @param config A configuration or the name of a preset.
 * @throws An error that names the field, what was expected and what was given.
 */
export function resolveConfig(config: MambaConfig | PresetName): ResolvedMambaConfig {
  if (typeof config === 'string') {
    if (!Object.hasOwn(presets, config)) wrong('', `one of ${Object.keys(presets).join(', ')}`, config);
    config = presets[config];
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) wrong('', 'an object', config);
  for (const name of Object.keys(config)) {
    if (!Object.hasOwn(fields, name)) throw new Error(`MambaConfig has no field ${name}`);
  }
  const given = {...defaults, ...withoutUndefined(config)} as MambaConfig & typeof defaults;

  for (const name of ['vocabSize', 'dModel', 'nLayer', 'dState', 'dConv', 'padVocabMultiple'] as const) {
    positiveInteger(name, given[name]);
  }
  for (const name of ['dtMin', 'dtMax', 'dtScale', 'dtInitFloor', 'epsilon'] as const) positive(name, given[name]);
  for (const name of ['convBias', 'useBias', 'tieEmbeddings'] as const) {
    if (typeof given[name] !== 'boolean') wrong(name, 'true or false', given[name]);
  }
  if (given.dtMin > given.dtMax) wrong('dtMin', `at most dtMax, ${given.dtMax}`, given.dtMin);
  if (given.dtInit !== 'random' && given.dtInit !== 'constant') wrong('dtInit', `'random' or 'constant'`, given.dtInit);

  const vocabSize = Math.ceil(given.vocabSize / given.padVocabMultiple) * given.padVocabMultiple;
  const realVocabSize = given.realVocabSize ?? given.vocabSize;
  positiveInteger('realVocabSize', realVocabSize);
  if (realVocabSize > given.vocabSize) wrong('realVocabSize', `at most vocabSize, ${given.vocabSize}`, realVocabSize);

  const {dtRank = 'auto'} = given;
  if (dtRank !== 'auto') positiveInteger('dtRank', dtRank);
  if (!Array.isArray(given.eosTokenIds)) wrong('eosTokenIds', 'an array of token ids', given.eosTokenIds);
  for (const id of given.eosTokenIds) tokenId('eosTokenIds', id, vocabSize);
  for (const name of ['bosTokenId', 'padTokenId'] as const) {
    if (given[name] !== undefined) tokenId(name, given[name], vocabSize);
  }

  const resolved = {
    ...given,
    ...innerWidth(given),
    vocabSize,
    realVocabSize,
    dtRank: dtRank === 'auto' ? Math.ceil(given.dModel / 16) : dtRank,
    eosTokenIds: [...given.eosTokenIds],
  };
  if (!Number.isSafeInteger(countParameters(resolved))) {
    throw new Error(`MambaConfig: a model of ${countParameters(resolved)} parameters is out of reach`);
  }
  return resolved;
}

/** Number of trained values of a model; a tied head counts once. */
export function countParameters(config: ResolvedMambaConfig): number {
  const {dModel, dInner, dState, dConv, dtRank, vocabSize} = config;
  const mixer =
    dModel * 2 * dInner + // in_proj
    dInner * dConv + // conv1d
    dInner * (dtRank + 2 * dState) + // x_proj
    dtRank * dInner + // dt_proj
    dInner + // its bias
    dInner * dState + // A_log
    dInner + // D
    dInner * dModel; // out_proj
  const biases = (config.convBias ? dInner : 0) + (config.useBias ? 2 * dInner + dModel : 0);
  const layer = mixer + biases + dModel; // the norm
  const embeddings = vocabSize * dModel * (config.tieEmbeddings ? 1 : 2);
  return embeddings + config.nLayer * layer + dModel; // the last norm
}

/** `expand` and `dInner`, whichever of them was given; both must agree. */
function innerWidth({dModel, expand, dInner}: MambaConfig): {expand: number; dInner: number} {
  if (expand !== undefined) positive('expand', expand);
  if (dInner !== undefined) positiveInteger('dInner', dInner);
  if (dInner === undefined) {
    const product = Math.floor((expand ?? 2) * dModel);
    if (product < 1) wrong('expand', `at least 1 / dModel = ${1 / dModel}`, expand);
    return {expand: expand ?? 2, dInner: product};
  }
  // The product is rounded down, and may itself be off in its last bit: dInner / dModel · dModel.
  if (expand !== undefined && Math.abs(expand * dModel - dInner) >= 1) {
    wrong('dInner', `expand · dModel = ${expand * dModel}, as expand is given too`, dInner);
  }
  return {expand: expand ?? dInner / dModel, dInner};
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Partial<T>;
}

function positiveInteger(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) wrong(name, 'a positive integer', value);
}

function positive(name: string, value: unknown): void {
  if (!Number.isFinite(value) || (value as number) <= 0) wrong(name, 'a positive number', value);
}

function tokenId(name: string, value: unknown, vocabSize: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) >= vocabSize) {
    wrong(name, `a token id below vocabSize, ${vocabSize}`, value);
  }
}

function wrong(name: string, expected: string, given: unknown): never {
  const field = name === '' ? 'MambaConfig' : `MambaConfig: ${name}`;
  throw new Error(`${field} must be ${expected}, but is ${JSON.stringify(given) ?? String(given)}`);
}
