/**
 * Mamba as a layer of `tf.layers`: [batch, length, dModel] → the same shape, in place of an LSTM or an attention layer, linear in
 * the length. The mathematics is in `mixer.ts`; this file is what a Keras-like recurrent layer needs around it: weights, shapes,
 * masks, carried states, direction, serialization.
 */
import * as tf from '@tensorflow/tfjs';
import {asInitializer, seedFor} from './initializers';
import {checkAxes, checkChannels, checkFloatTensor, checkMask, checkStates, toList} from './inputs';
import {lastReal} from './masking';
import type {LayerState, MixerConfig, MixerWeights, WeightSpec} from './mixer';
import {mix, mixStep, mixerWeightSpecs, zeroState} from './mixer';
import type {LayerArgs} from './options';
import {checkFlag, checkOptions, checkPositiveInteger, checkPositiveNumber, checkWord} from './options';

/** The options of a Mamba layer; names and defaults are those of the paper's code. */
export interface MambaLayerArgs extends LayerArgs {
  /** States per channel, N (16). */
  dState?: number;
  /** Width of the causal convolution, K (4). */
  dConv?: number;
  /** Channels of the scan per input channel (2). */
  expand?: number;
  /** Channels of the scan, if not expand · dModel. */
  dInner?: number;
  /** Rank of the projection to the step size; 'auto' is ⌈dModel / 16⌉. */
  dtRank?: number | 'auto';
  /** Smallest step size at the start (0.001). */
  dtMin?: number;
  /** Largest step size at the start (0.1). */
  dtMax?: number;
  /** How the projection to the step size starts ('random'). */
  dtInit?: 'random' | 'constant';
  /** Scales the start of that projection (1). */
  dtScale?: number;
  /** No step size starts below it (1e-4). */
  dtInitFloor?: number;
  /** Whether the convolution has a bias (true). */
  convBias?: boolean;
  /** Whether the input and output projections have one (false). */
  useBias?: boolean;
  /** Whether the state after a batch is the state before the next (false); `resetStates()` forgets it. */
  stateful?: boolean;
  /** Whether the states come out too: [y, conv, ssm] (false). */
  returnState?: boolean;
  /** Whether every position comes out, or only the last real one (true). */
  returnSequences?: boolean;
  /** Whether the sequence is read from its end; the output then is in reading order, as that of tfjs's recurrent layers (false). */
  goBackwards?: boolean;
  /** Fixes the start of the weights. */
  seed?: number;
}

/** The options of a {@link Mamba} layer with every default filled in. */
export type MambaOptions = Required<Omit<MambaLayerArgs, keyof LayerArgs | 'dInner' | 'seed'>> &
  Pick<MambaLayerArgs, 'dInner' | 'seed'>;

const defaults: MambaOptions = {
  dState: 16,
  dConv: 4,
  expand: 2,
  dInner: undefined,
  dtRank: 'auto',
  dtMin: 0.001,
  dtMax: 0.1,
  dtInit: 'random',
  dtScale: 1,
  dtInitFloor: 1e-4,
  convBias: true,
  useBias: false,
  stateful: false,
  returnState: false,
  returnSequences: true,
  goBackwards: false,
  seed: undefined,
};

export const mambaOptionNames = Object.keys(defaults) as Array<keyof MambaOptions>;

/**
 * The Mamba layer (Gu & Dao 2023, section 3.4).
 *
 * Inputs: x [B,L,dModel], or [x, conv, ssm] with a state to start from (conv [B,dConv-1,dInner], ssm [B,dInner,dState]); also as
 * `kwargs.initialState`. Output: y [B,L,dModel], or [B,dModel] without `returnSequences`; with `returnState` [y, conv, ssm].
 * A mask (`tf.layers.masking`, `embedding({maskZero})`) is honoured on either side and in between: real positions get what the
 * sequence would get without the padding. TensorFlow.js 4.22 hands a mask, once a layer of a model was given it, to all layers that run
 * later, those of an unmasked branch too; where that is not meant, run the branches as models of their own.
 */
export class Mamba extends tf.layers.Layer {
  static className = 'Mamba';

  readonly options: MambaOptions;
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  private config?: MixerConfig;
  private carried?: LayerState;
  /** By name: tfjs's list of weights changes its order when some are frozen. */
  protected readonly variables = new Map<string, ReturnType<tf.layers.Layer['addWeight']>>();

  constructor(args: MambaLayerArgs = {}) {
    super(args);
    const layer = this.getClassName();
    checkOptions(layer, args, this.optionNames());
    const given = Object.entries(args).filter(
      ([key, value]) => key in defaults && value !== undefined && value !== null,
    );
    this.options = {...defaults, ...Object.fromEntries(given)};
    checkMambaOptions(layer, this.options);
    this.returnSequences = this.options.returnSequences;
    this.returnState = this.options.returnState;
    this.goBackwards = this.options.goBackwards;
    this._stateful = this.options.stateful;
    this.supportsMasking = true;
    this.inputSpec = [new tf.InputSpec({ndim: 3})];
  }

  /** The names of the layer's own options. */
  protected optionNames(): string[] {
    return [...mambaOptionNames];
  }

  /** The sizes; known once the layer is built. */
  get mixerConfig(): MixerConfig {
    if (!this.config) {
      throw new Error(`${this.getClassName()}: ${this.name} is not built yet; call it on an input first`);
    }
    return this.config;
  }

  /** The states a stateful layer carries, as tfjs's recurrent layers have them. */
  get states(): Array<tf.Tensor | null> {
    return this.carried ? [this.carried.conv, this.carried.ssm] : [null, null];
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const [x] = shapeList(inputShape);
    const dModel = this.checkInputShape(x);
    const {expand, dtRank, dInner = Math.floor(expand * dModel)} = this.options;
    checkPositiveInteger(this.getClassName(), `expand · dModel, ${expand} · ${dModel},`, dInner);
    const config = {...this.options, dModel, dInner, dtRank: dtRank === 'auto' ? Math.ceil(dModel / 16) : dtRank};
    this.config = config;
    for (const {name, shape, initialize} of this.weightSpecs(config)) {
      this.variables.set(name, this.addWeight(name, shape, 'float32', asInitializer(initialize) as never));
    }
    super.build(inputShape);
  }

  /** Both directions of a `tf.layers.bidirectional` have one seed, but are not to start alike. */
  protected get weightSeed(): number | undefined {
    return this.goBackwards ? seedFor(this.options.seed, 'backwards') : this.options.seed;
  }

  /** @internal Name, shape and start of every weight. */
  protected weightSpecs(config: MixerConfig): WeightSpec[] {
    return mixerWeightSpecs(config, this.weightSeed);
  }

  /** The current values of the weights whose name in the layer starts with `scope`, by the rest of their name. */
  protected weightValues(scope = ''): Record<string, tf.Tensor> {
    const inScope = [...this.variables].filter(([name]) => name.startsWith(scope));
    return Object.fromEntries(inScope.map(([name, variable]) => [name.slice(scope.length), variable.read()]));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    const [x] = shapeList(inputShape);
    const dModel = this.checkInputShape(x);
    const y = this.returnSequences ? [...x] : [x[0], dModel];
    if (!this.returnState) {
      return y;
    }
    const {expand, dInner = Math.floor(expand * dModel), dConv, dState} = this.options;
    return [y, [x[0], dConv - 1, dInner], [x[0], dInner, dState]];
  }

  override computeMask(_inputs: tf.Tensor | tf.Tensor[], mask?: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    const outputMask = this.returnSequences ? (toList(mask)[0] ?? null) : null;
    return (this.returnState ? [outputMask, null, null] : outputMask) as tf.Tensor;
  }

  /** Symbolic states are inputs of the model, so they belong to the inputs of the layer. */
  override apply(
    inputs: tf.Tensor | tf.Tensor[] | tf.SymbolicTensor | tf.SymbolicTensor[],
    kwargs: {[key: string]: unknown} = {},
  ): tf.Tensor | tf.Tensor[] | tf.SymbolicTensor | tf.SymbolicTensor[] {
    const {initialState, ...others} = kwargs;
    if (!Array.isArray(initialState) || !(initialState[0] instanceof tf.SymbolicTensor)) {
      return super.apply(inputs, kwargs);
    }
    return super.apply([...toList(inputs as tf.SymbolicTensor), ...initialState], others);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: {[key: string]: unknown} = {}): tf.Tensor | tf.Tensor[] {
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const [x, ...states] = toList(inputs);
      states.push(...this.statesOf(kwargs, states));
      this.checkInputs(x, states);
      const given = toList(kwargs.mask as tf.Tensor | tf.Tensor[] | undefined)[0];
      checkMask(this.getClassName(), given, x);
      const backwards = <T extends tf.Tensor>(t: T) => (this.goBackwards ? t.reverse(1) : t);
      const mask = given ? backwards(given.toInt()) : undefined;
      const initial = states.length > 0 ? stateOf(states) : this.carriedFor(x.shape[0]);
      const {y, state} = this.run(backwards(x as tf.Tensor3D), initial, mask);
      if (this.options.stateful) {
        this.carry(state);
      }
      const output = this.returnSequences ? y : lastReal(y, mask);
      return this.returnState ? [output, state.conv, state.ssm] : output;
    });
  }

  /** The states given by name, where none are given in the list of inputs. */
  private statesOf({initialState}: {[key: string]: unknown}, listed: tf.Tensor[]): tf.Tensor[] {
    if (initialState === undefined || initialState === null) {
      return [];
    }
    if (!Array.isArray(initialState)) {
      throw new Error(`${this.getClassName()}: initialState must be a list, [conv, ssm]`);
    }
    if (listed.length > 0) {
      throw new Error(`${this.getClassName()}: the states are given twice, as inputs and as initialState`);
    }
    return initialState as tf.Tensor[];
  }

  /**
   * Runs the layer over a sequence [B,L,dModel] from a state, and returns the state after it.
   *
   * @param mask [B,L], zero at padding.
   */
  run(x: tf.Tensor3D, state?: LayerState, mask?: tf.Tensor): {y: tf.Tensor3D; state: LayerState} {
    return tf.tidy(() => mix(this.weightValues() as MixerWeights, this.mixerConfig, x, state, mask));
  }

  /** Runs the layer for one position: x [B,dModel] → y of the same shape and the next state; `state` is not disposed. */
  step(x: tf.Tensor2D, state: LayerState): {y: tf.Tensor2D; state: LayerState} {
    this.checkStep(x, state);
    return tf.tidy(() => mixStep(this.weightValues() as MixerWeights, this.mixerConfig, x, state));
  }

  /** The state before the first position. */
  zeroState(batch: number): LayerState {
    checkPositiveInteger(`${this.getClassName()}.zeroState`, 'batch', batch);
    return zeroState(batch, this.mixerConfig);
  }

  /** Forgets the state a stateful layer carries; the next batch starts from zero. */
  override resetStates(): void {
    tf.dispose(this.carried);
    this.carried = undefined;
  }

  private carry({conv, ssm}: LayerState): void {
    this.resetStates();
    this.carried = {conv: tf.keep(conv.clone()), ssm: tf.keep(ssm.clone())};
  }

  private carriedFor(batch: number): LayerState | undefined {
    const carried = this.options.stateful ? this.carried : undefined;
    if (carried && carried.ssm.shape[0] !== batch) {
      throw new Error(
        `${this.getClassName()}: ${this.name} carries the state of a batch of ${carried.ssm.shape[0]}, ` +
          `but is given a batch of ${batch}; call resetStates() first`,
      );
    }
    return carried;
  }

  /** Checks what `step` is given; states of the wrong shape would be read as another batch. */
  protected checkStep(x: tf.Tensor, state: LayerState): void {
    const op = `${this.getClassName()}.step`;
    checkFloatTensor(op, 'x', x);
    checkAxes(op, 'x', x.shape, ['batch', 'dModel']);
    checkChannels(op, 'x', x.shape, this.mixerConfig.dModel);
    if (typeof state !== 'object' || state === null) {
      throw new Error(`${op}: state must be {conv, ssm}, such as zeroState(batch), but is ${String(state)}`);
    }
    checkStates(op, [state.conv, state.ssm], this.mixerConfig, x.shape[0]);
  }

  /** Checks the input's shape and gives back dModel. */
  private checkInputShape(shape: tf.Shape): number {
    checkAxes(this.getClassName(), 'input', shape, ['batch', 'length', 'dModel']);
    return checkChannels(this.getClassName(), 'input', shape, this.config?.dModel);
  }

  private checkInputs(x: tf.Tensor | tf.SymbolicTensor, states: Array<tf.Tensor | tf.SymbolicTensor>): void {
    checkFloatTensor(this.getClassName(), 'input', x);
    this.checkInputShape(x.shape);
    if (states.length > 0 && this.config) {
      checkStates(this.getClassName(), states, this.config, x.shape[0]);
    }
  }

  /** tfjs knows one input spec per input; here the states may come after x. */
  protected override assertInputCompatibility(
    inputs: tf.Tensor | tf.Tensor[] | tf.SymbolicTensor | tf.SymbolicTensor[],
  ): void {
    const [x, ...states] = toList<tf.Tensor | tf.SymbolicTensor>(inputs);
    this.checkInputs(x, states);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const options = Object.entries(this.options).filter(([, value]) => value !== undefined);
    return {...super.getConfig(), ...Object.fromEntries(options)};
  }

  override dispose(): ReturnType<tf.layers.Layer['dispose']> {
    const result = super.dispose();
    if (result.refCountAfterDispose === 0) {
      this.resetStates();
    }
    return result;
  }
}
tf.serialization.registerClass(Mamba);

function checkMambaOptions(layer: string, options: MambaOptions): void {
  for (const name of ['dState', 'dConv'] as const) {
    checkPositiveInteger(layer, name, options[name]);
  }
  for (const name of ['expand', 'dtMin', 'dtMax', 'dtScale', 'dtInitFloor'] as const) {
    checkPositiveNumber(layer, name, options[name]);
  }
  if (options.dtMin > options.dtMax) {
    throw new Error(`${layer}: dtMin must be at most dtMax, ${options.dtMax}, but is ${options.dtMin}`);
  }
  for (const name of ['convBias', 'useBias', 'stateful', 'returnState', 'returnSequences', 'goBackwards'] as const) {
    checkFlag(layer, name, options[name]);
  }
  checkWord(layer, 'dtInit', options.dtInit, ['random', 'constant']);
  if (options.dtRank !== 'auto') {
    checkPositiveInteger(layer, "dtRank, if not 'auto',", options.dtRank);
  }
  if (options.dInner !== undefined) {
    checkPositiveInteger(layer, 'dInner', options.dInner);
  }
  if (options.seed !== undefined && !Number.isFinite(options.seed)) {
    throw new Error(`${layer}: seed must be a number, but is ${String(options.seed)}`);
  }
}

function stateOf([conv, ssm]: tf.Tensor[]): LayerState {
  return {conv: conv as tf.Tensor3D, ssm: ssm as tf.Tensor3D};
}

function shapeList(shape: tf.Shape | tf.Shape[]): tf.Shape[] {
  return Array.isArray(shape[0]) ? (shape as tf.Shape[]) : [shape as tf.Shape];
}
