/**
 * The Mamba language model (Gu & Dao 2023, section 3.4; state-spaces `mixer_seq_simple.py`): embedding, blocks, norm, head. A
 * `tf.LayersModel` as any other; what a language model needs besides is here: integer labels, carried states, steps, generation.
 */
import * as tf from '@tensorflow/tfjs';
import {uploadNow} from '../backends/traits';
import {beginAgain} from '../backends/webgpuOrder';
import type {MambaConfig, ResolvedMambaConfig} from '../config/config';
import {resolveConfig} from '../config/config';
import type {PresetName} from '../config/presets';
import {countParameters, largestWeight} from '../config/weightTable';
import {checkStates} from '../layers/inputs';
import type {LayerOfMatrices} from '../layers/matrices';
import {MixerBlock} from '../layers/mixerBlock';
import {checkSequenceIds} from '../layers/sequenceCall';
import {RMSNormalization} from '../layers/rmsNormalization';
import {LanguageHead, TokenEmbedding} from '../layers/tokenEmbedding';
import {checkIndices, checkKeys, checkRank, checkShape, checkWhole} from '../ops/check';
import {mixerOf} from '../mixers';
import {openChain, stepChain} from '../mixers/block';
import type {Draws} from '../mixers/draws';
import {show} from '../mixers/fields';
import {seedFor} from '../mixers/initializers';
import {inDepth} from '../mixers/weightSpec';
import type {LayerState} from '../mixers/mamba1/run';
import {align, lastPosition} from '../mixers/masking';
import type {State} from '../mixers/mixer';
import {stateNames, stateShapes} from '../mixers/states';
import {crossEntropy} from '../ops/crossEntropy';
import type {TokenDecoder} from '../ops/decoder';
import {registerClass} from '../registerClass';
import '../simdDraw';
import {tokenAccuracy, withAccuracy} from './accuracy';
import type {GeneratedText, GeneratedToken, GenerateOptions} from './generate';
import {generate} from './generate';
import {checkFits} from './memory';
import {Packing} from './packing';
import type {Prompt} from './prompts';
import type {Tokenizer} from './tokenizers';
import type {TokenIds} from './tokenIds';
import {toIds} from './tokenIds';
import type {TokenizerFiles} from '../checkpoints/tokenizerFiles';

/**
 * The state of every block, in order: what its mixer carries, `{conv, ssm}`; Mamba-2's `ssm` is [B,H,P,N]. tf.dispose, tf.tidy and tf.keep take it.
 */
export type MambaState = Array<State & LayerState>;

/** What a language model is compiled with; the loss is cross entropy unless another is given. */
export type MambaCompileArgs = Omit<tf.ModelCompileArgs, 'loss'> & {
  loss?: tf.ModelCompileArgs['loss'];
  /** Labels that do not count in the loss (what it was before; -100 at first). */
  ignoreIndex?: number;
};

/** The options of {@link mambaLM}. */
export interface MambaLMOptions {
  /** Fixes the start of the weights. */
  seed?: number;
  name?: string;
}

interface ModelOptions extends MambaLMOptions {
  /** Whether the weights start as zeros, because they are about to be replaced. */
  empty?: boolean;
  /** Whether matrices are held in 8 bits, or in 16. */
  bits?: 8 | 16;
  ignoreIndex?: number;
}

/** What getConfig gives. Loading camel-cases every string, except under the key `name`. */
interface SavedConfig {
  name: string;
  mamba: ResolvedMambaConfig;
  ignoreIndex: number;
  /** Layers that do not train. */
  frozen: Array<{name: string}>;
}

interface Parts {
  embeddings: TokenEmbedding;
  blocks: MixerBlock[];
  norm: RMSNormalization;
  head: TokenEmbedding | LanguageHead;
}

/** How files name the loss of a language model. */
const LOSS = 'crossEntropy';
/** What users call it: tfjs's own of that name would want targets of the logits' rank. */
const LOSSES: readonly unknown[] = [LOSS, 'sparseCategoricalCrossentropy'];

/** int32 ids [B,L] → float32 logits [B,L,V], V being the padded vocabulary. Made by {@link mambaLM} and `fromPretrained`. */
export class MambaLM extends tf.LayersModel {
  static override className = 'MambaLM';

  readonly config: ResolvedMambaConfig;
  /**
   * Turns text into ids and back for `generate('…')`, and is saved with the model by `savePretrained`. `fromPretrained` sets it where a
   * `tokenizer.json` comes with the model; a model of your own is given one by setting it.
   */
  tokenizer?: Tokenizer;
  /** @internal Why the checkpoint's own tokenizer cannot be used, and its files, which are saved again all the same. */
  tokenizerFault?: Error;
  /** @internal */
  tokenizerFiles?: TokenizerFiles;
  /** @internal What was hung on the model from outside, and goes with it. */
  adapter?: {readonly isMerged: boolean; readonly draws: Draws; dispose(): void};
  /** @internal Its matrices of 8 or 16 bits, if they are. */
  readonly packing?: Packing;
  private readonly parts: Parts;
  private ignoreIndex: number;
  private countsTokens = false;

  constructor(config: MambaConfig | PresetName, options: ModelOptions = {}) {
    const resolved = resolveConfig(config);
    const packing = options.bits && new Packing(options.bits);
    const parts = makeParts(resolved, options, packing);
    const inputs = tf.input({shape: [null], dtype: 'int32', name: 'ids'});
    let hidden = inputs;
    for (const layer of [parts.embeddings, ...parts.blocks, parts.norm]) {
      hidden = layer.apply(hidden) as tf.SymbolicTensor;
      if (!options.empty) layer.weights.forEach((weight) => uploadNow(weight.read())); // before the next are drawn
    }
    super({inputs, outputs: parts.head.apply(hidden) as tf.SymbolicTensor, name: options.name ?? 'mamba_lm'});
    this.config = resolved;
    this.packing = packing;
    this.parts = parts;
    this.ignoreIndex = options.ignoreIndex ?? -100;
  }

  /** The state before the first token. */
  zeroState(batch = 1): MambaState {
    return this.parts.blocks.map((block) => block.zeroState(batch)) as MambaState;
  }

  /**
   * Reads a sequence in one parallel pass: ids [B,L] → the logits of its last position [B,V] and the state after it.
   *
   * @param ids Token ids [B,L].
   * @param options Where the pass begins, and what of it is padding.
   * @param options.state The state to go on from; it is not disposed.
   * @param options.sequenceIds [B,L], of packed documents: wherever the id changes along a row another begins. The logits and the state are
   *   those of a row's last document; its first goes on from `state`.
   * @param options.mask [B,L], 0 at padding, on the left or the right or in between: each row gets what it would get alone.
   * @throws Error naming the argument that is wrong.
   */
  prefill(
    ids: TokenIds,
    options: {state?: MambaState; mask?: TokenIds; sequenceIds?: TokenIds} = {},
  ): {logits: tf.Tensor2D; state: MambaState} {
    return tf.tidy(() => {
      checkKeys('prefill', options, ['state', 'mask', 'sequenceIds']);
      const {state, mask} = options;
      const tokens = toIds('prefill', 'ids', ids, 2);
      const real = mask === undefined ? undefined : toIds('prefill', 'mask', mask, 2);
      checkShape('prefill', 'mask', real, tokens.shape, 'the shape of ids');
      if (state !== undefined) this.checkState('prefill', state, tokens.shape[0]);
      beginAgain();
      const {embeddings, blocks} = this.parts;
      const sequenceIds = this.documentsOf(options.sequenceIds, tokens, real);
      const lookBack = Math.max(...blocks.map(({mixer, mixerConfig}) => mixer.lookBack(mixerConfig)));
      const aligned = real && align(real, state ? lookBack : 0);
      const next: State[] = [];
      let x = embeddings.embed(tokens) as tf.Tensor3D;
      if (aligned) x = aligned.move(x);
      blocks.forEach((block, i) => {
        const result = block.runAligned(x, state?.[i], {padding: aligned?.padding, sequenceIds});
        x = result.y;
        next.push(result.state);
      });
      return {logits: this.logits(lastPosition(x)), state: next as MambaState};
    });
  }

  /**
   * Reads one token of each row: ids [B] → logits [B,V] and the next state. `state` is not disposed.
   *
   * @throws Error naming the argument that is wrong.
   */
  step(ids: TokenIds, state: MambaState): {logits: tf.Tensor2D; state: MambaState} {
    return tf.tidy(() => {
      const tokens = toIds('step', 'ids', ids, 1);
      this.checkState('step', state, tokens.shape[0]);
      const x = this.parts.embeddings.embed(tokens) as tf.Tensor2D;
      const chain = this.parts.blocks.map((block) => block.block());
      const {y, states} = stepChain(chain, x, state);
      return {logits: this.logits(y), state: states as MambaState};
    });
  }

  /**
   * @internal Opens the model for decoding from a state, which is copied; undefined where the backend has no decoders, or a weight is none
   * that they take.
   */
  openDecoder(state: MambaState): TokenDecoder | undefined {
    const {embeddings, blocks, norm, head} = this.parts;
    let decoder: TokenDecoder | undefined;
    tf.tidy(() => {
      const own = head instanceof LanguageHead ? head.kernel(false) : undefined;
      const ends = {norm: norm.weights[0].read(), epsilon: norm.epsilon, table: embeddings.table(false), head: own};
      const chain = blocks.map((block) => block.block());
      decoder = openChain(chain, state, ends);
    });
    return decoder;
  }

  /**
   * Continues a text, or a batch of texts, token by token, each with its text; for a model that has a `tokenizer`. See
   * {@link GenerateOptions}.
   */
  generate(
    prompt: string | readonly string[],
    options?: GenerateOptions,
  ): AsyncGenerator<GeneratedText, void, undefined>;
  /** Continues token ids, or a batch of them: lists, which may be of different lengths, or an int32 tensor [L] or [B,L]. */
  generate(
    prompt: readonly number[] | ReadonlyArray<readonly number[]> | tf.Tensor,
    options?: GenerateOptions,
  ): AsyncGenerator<GeneratedToken, void, undefined>;
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<GeneratedToken, void, undefined> {
    return generate(this, prompt, options);
  }

  /**
   * Every weight by its name, such as `layers.0/mixer/ALog`; in a second model of a process tfjs gives the variables themselves other
   * names, these stay.
   */
  weightsByName(): Map<string, tf.LayerVariable> {
    return new Map(this.weights.map((weight) => [weight.originalName, weight]));
  }

  /** The documents of packed rows, if they are. */
  private documentsOf(ids: TokenIds | undefined, tokens: tf.Tensor, mask?: tf.Tensor): tf.Tensor2D | undefined {
    if (ids === undefined) return undefined;
    const sequenceIds = toIds('prefill', 'sequenceIds', ids, 2) as tf.Tensor2D;
    checkSequenceIds('prefill', sequenceIds, tokens, mask);
    for (const block of this.parts.blocks) block.checkTakesIds(sequenceIds);
    return sequenceIds;
  }

  /** Vectors [B,dModel] → logits [B,V]. */
  private logits(x: tf.Tensor): tf.Tensor2D {
    return this.parts.head.logits(this.parts.norm.call(x)) as tf.Tensor2D;
  }

  /** @internal The parts of the state of every block, with their shapes; null where a size is open. */
  stateShapes(batch: number | null): Array<ReturnType<typeof stateShapes>> {
    return this.parts.blocks.map(({mixer, mixerConfig}) => stateShapes(mixer, mixerConfig, batch));
  }

  /**
   * @internal Throws unless it is a state of this model.
   *
   * @param batch Its rows; as many as it has if not given.
   */
  checkState(op: string, state: MambaState, batch?: number): void {
    const {nLayer} = this.config;
    if (!Array.isArray(state) || state.length !== nLayer) {
      const given = Array.isArray(state) ? `has ${(state as unknown[]).length} entries` : `is ${typeof state}`;
      throw new Error(`${op}: state must have an entry for each of the ${nLayer} blocks, but ${given}`);
    }
    this.parts.blocks.forEach(({mixer, mixerConfig}, i) => {
      const entry = state[i] as State | undefined;
      const parts = stateNames(mixer).map((name) => entry?.[name]) as tf.Tensor[];
      checkStates(`${op}: state[${i}]`, parts, stateShapes(mixer, mixerConfig, batch ?? parts[0]?.shape[0] ?? null));
    });
  }

  /**
   * As tfjs's compile. Without a loss, or with 'crossEntropy' or 'sparseCategoricalCrossentropy', it is the cross entropy of the labels, which then are int32 [B,L]: for
   * every position the id that should come next. The metric 'accuracy' is the share of labels that are the likeliest token. As for
   * any tfjs model, what `evaluate` gives is the mean over batches, each weighted by its rows.
   */
  override compile(args: MambaCompileArgs): void {
    if (!(args as Partial<MambaCompileArgs> | undefined)?.optimizer) {
      throw new Error('compile: optimizer is missing; for instance compile({optimizer: adamW({learningRate: 1e-3})})');
    }
    const {ignoreIndex = this.ignoreIndex, ...rest} = args;
    if (!Number.isInteger(ignoreIndex)) {
      throw new Error(`compile: ignoreIndex must be an integer, but is ${show(ignoreIndex)}`);
    }
    this.ignoreIndex = ignoreIndex;
    this.countsTokens = rest.loss === undefined || LOSSES.includes(rest.loss);
    if (!this.countsTokens) {
      super.compile(rest as tf.ModelCompileArgs);
      return;
    }
    const loss = (labels: tf.Tensor, logits: tf.Tensor) =>
      crossEntropy({logits, labels: labels.toInt(), ignoreIndex: this.ignoreIndex});
    const accuracy = (labels: tf.Tensor, logits: tf.Tensor) => tokenAccuracy(labels, logits, this.ignoreIndex);
    // tfjs calls a metric by its function's name, which a minifier would change.
    Object.defineProperty(accuracy, 'name', {value: 'acc'});
    super.compile({...rest, loss, metrics: withAccuracy(rest.metrics, accuracy)} as tf.ModelCompileArgs);
    this.loss = LOSS; // what `save` writes
  }

  /** As tfjs's, which knows dense weights only. */
  override async save(...args: Parameters<tf.LayersModel['save']>): ReturnType<tf.LayersModel['save']> {
    if (!this.isDense) {
      throw new Error(
        'save: a LayersModel holds its weights as floats and without an adapter; mergeAdapter puts one into the weights, and savePretrained saves 8 bits',
      );
    }
    return super.save(...args);
  }

  /** @internal Whether every matrix is a plain tensor of the model, and none packed or corrected by an adapter. */
  get isDense(): boolean {
    return this.layers.every((layer) => (layer as Partial<LayerOfMatrices>).matrices?.areDense ?? true);
  }

  /** @throws Error if the loss is a function: tfjs would leave it out, and the model come back with another. */
  protected override getTrainingConfig(): ReturnType<tf.LayersModel['getTrainingConfig']> {
    if (typeof this.loss === 'function') {
      throw new Error(
        'save: a loss that is a function cannot be saved; save without includeOptimizer, and compile after loading',
      );
    }
    return super.getTrainingConfig();
  }

  /** As tfjs's. Ids that are not whole are refused where values can be read at once: tfjs would cut 1.5 down to 1. */
  override predict(...args: Parameters<tf.LayersModel['predict']>): ReturnType<tf.LayersModel['predict']> {
    checkIds(args[0]);
    return super.predict(...args);
  }

  /** See `predict`. */
  override predictOnBatch(x: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    checkIds(x);
    return super.predictOnBatch(x);
  }

  /** See `predict`. */
  override call(...args: Parameters<tf.LayersModel['call']>): ReturnType<tf.LayersModel['call']> {
    checkIds(args[0]);
    return super.call(...args);
  }

  /**
   * tfjs wants targets of the logits' shape; labels are of the ids'. Values are checked here and not left to the ops, as tfjs does not
   * free what a forward pass has kept for the gradient when the loss throws.
   */
  protected override standardizeUserDataXY(
    ...args: Parameters<tf.LayersModel['standardizeUserDataXY']>
  ): ReturnType<tf.LayersModel['standardizeUserDataXY']> {
    if (!this.countsTokens) {
      return super.standardizeUserDataXY(...args);
    }
    const [ids, labels] = [single('ids', args[0]), single('labels', args[1])];
    checkRank('MambaLM', 'ids', ids, 2, '[batch, length]');
    checkShape('MambaLM', 'labels', labels, ids.shape, 'the shape of ids');
    checkIndices('MambaLM', 'ids', ids, this.config.vocabSize);
    checkIndices('MambaLM', 'labels', labels, this.config.vocabSize, this.ignoreIndex);
    return [[ids], [labels]];
  }

  /** Frees the weights. */
  override dispose(): ReturnType<tf.LayersModel['dispose']> {
    this.adapter?.dispose();
    const result = super.dispose();
    // A layer counts how often it was applied; a tied one is applied twice, but the model disposes every layer once.
    if (result.refCountAfterDispose === 0 && this.config.tieEmbeddings) {
      result.numDisposedVariables += this.parts.embeddings.dispose().numDisposedVariables;
    }
    return result;
  }

  /** What `fromConfig` and `tf.loadLayersModel` make the same model of. */
  override getConfig(): tf.serialization.ConfigDict {
    const {name, config, ignoreIndex} = this;
    const frozen = this.layers.filter(({trainable, weights}) => !trainable && weights.length > 0);
    return {
      name,
      mamba: {...config} as unknown as tf.serialization.ConfigDict,
      ignoreIndex,
      frozen: frozen.map((layer) => ({name: layer.name})),
    };
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
    _customObjects?: tf.serialization.ConfigDict,
    fastWeightInit = false,
  ): T {
    const {name, mamba, ignoreIndex, frozen} = config as unknown as SavedConfig;
    const model = new (cls as unknown as typeof MambaLM)(mamba, {name, ignoreIndex, empty: fastWeightInit});
    for (const layer of frozen) {
      model.getLayer(layer.name).trainable = false;
    }
    return model as unknown as T;
  }
}
registerClass(MambaLM);

/**
 * A model with fresh weights, initialised as the paper's (section 3.6).
 *
 * @param config The sizes, or the name of a preset: 'mamba-130m' … 'mamba-2.8b'.
 * @throws Error naming the field that is wrong, or saying that the model is too large for the backend.
 */
export function mambaLM(config: MambaConfig | PresetName, options: MambaLMOptions = {}): MambaLM {
  const resolved = resolveConfig(config);
  checkKeys('mambaLM', options, ['seed', 'name']);
  if (options.seed !== undefined && !Number.isFinite(options.seed)) {
    throw new Error(`mambaLM: seed must be a number, but is ${show(options.seed)}`);
  }
  checkFits('mambaLM', 4 * countParameters(resolved), 4 * largestWeight(resolved));
  return new MambaLM(resolved, options);
}

function makeParts(config: ResolvedMambaConfig, {seed, empty}: ModelOptions, packing?: Packing): Parts {
  const {vocabSize, dModel, nLayer, epsilon, tieEmbeddings} = config;
  const seeded = (name: string) => ({name, seed: seedFor(seed, name)});
  const mixer = mixerOf(config);
  const names = Object.keys(mixer.fields) as Array<keyof ResolvedMambaConfig>;
  const own = Object.fromEntries(names.map((name) => [name, config[name]]));
  const embeddings = new TokenEmbedding({vocabSize, dModel, ...seeded('embeddings')});
  const blocks = Array.from(
    {length: nLayer},
    (_, i) => new MixerBlock({mixer: mixer.name, ...own, epsilon, ...seeded(`layers.${i}`)}),
  );
  for (const block of blocks) block.initialize = inDepth(nLayer);
  const norm = new RMSNormalization({epsilon, name: 'normF'});
  const head = tieEmbeddings ? embeddings : new LanguageHead({vocabSize, dModel, ...seeded('lmHead')});
  for (const layer of [embeddings, ...blocks, norm, head]) {
    layer.setFastWeightInitDuringBuild(empty ?? false);
    if (packing && 'matrices' in layer) layer.matrices.make = packing.make;
  }
  return {embeddings, blocks, norm, head};
}

/** Checks ids that come as floats, as tf.data makes them; what else is wrong with them, tfjs says. */
function checkIds(ids: tf.Tensor | tf.Tensor[]): void {
  for (const tensor of Array.isArray(ids) ? ids : [ids]) {
    if (tensor instanceof tf.Tensor && tensor.dtype === 'float32') checkWhole('MambaLM', 'ids', tensor);
  }
}

/** tfjs takes a tensor, a list of one, or an object with one. */
function single(name: string, data: unknown): tf.Tensor {
  const list = data instanceof tf.Tensor ? [data] : Object.values(data ?? {});
  if (list.length !== 1 || !(list[0] instanceof tf.Tensor)) {
    throw new Error(`MambaLM: ${name} must be one tensor`);
  }
  return list[0];
}
