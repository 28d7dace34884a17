/**
 * A mixer as a layer of `tf.layers`: [batch, length, dModel] → the same shape, in place of an LSTM or an attention layer. The mathematics
 * is the mixer's (`src/mixers`); this file is what a Keras-like recurrent layer needs around it: weights, shapes, masks, carried states,
 * direction, serialization.
 */
import * as tf from '@tensorflow/tfjs';
import type {Block} from '../mixers/block';
import {stepChain} from '../mixers/block';
import type {Fields} from '../mixers/fields';
import {flag, readFields, wrongField} from '../mixers/fields';
import {Draws} from '../mixers/draws';
import {asInitializer, seedFor} from '../mixers/initializers';
import {align, lastPosition} from '../mixers/masking';
import type {AnyMixer, RunContext, State, Weights} from '../mixers/mixer';
import {stateNames, stateShapes, zeroState} from '../mixers/states';
import {publishedNames} from '../mixers/published';
import type {WeightSpec} from '../mixers/weightSpec';
import {recogniseCopies} from '../registerClass';
import {checkAxes, checkChannels, checkFloatTensor, checkMask, checkStates, toList} from './inputs';
import type {KernelOptions, Kernels} from './kernelOptions';
import {kernelOptionNames, readKernelOptions} from './kernelOptions';
import {Matrices} from './matrices';
import type {LayerArgs} from './options';
import {checkOptions, checkPositiveInteger} from './options';
import type {Sequence, SequenceCall} from './sequenceCall';
import {checkSequenceIds} from './sequenceCall';

/** What every such layer takes besides its mixer's options. */
export interface SequenceOptions extends KernelOptions {
  /** Whether the state after a batch is the state before the next (false); `resetStates()` forgets it. */
  stateful?: boolean;
  /** Whether the states come out too: [y, …states] (false). */
  returnState?: boolean;
  /** Whether every position comes out, or only the last real one (true). */
  returnSequences?: boolean;
  /** Whether the sequence is read from its end; the output then is in reading order, as that of tfjs's recurrent layers (false). */
  goBackwards?: boolean;
  /**
   * The fraction of the mixer's inputs that is dropped while training, as `tf.layers.lstm` has it: the same ones at every position of a
   * sequence; in a block behind the norm, and never of the residual (0).
   */
  dropout?: number;
  /** Fixes the start of the weights, and what is dropped. */
  seed?: number;
}

const isFraction = (value: unknown) => typeof value === 'number' && value >= 0 && value < 1;

const sequenceFields: Fields<Omit<SequenceOptions, keyof KernelOptions>> = {
  stateful: flag(false),
  returnState: flag(false),
  returnSequences: flag(true),
  goBackwards: flag(false),
  dropout: {fallback: undefined, expected: 'a number from 0 to below 1', type: 'number', holds: isFraction},
  seed: {fallback: undefined, expected: 'a number', type: 'number', holds: Number.isFinite},
};

/** What a recurrent layer of tfjs, or of Python's Mamba, has and these have not. */
const width = 'the layer keeps the width of its input: put tf.layers.dense({units}) before or after it';
const notes = {
  units: width,
  dModel: width,
  d_model: width,
  recurrentDropout: 'the recurrence has no kernel; dropout drops what goes into the layer',
};

/**
 * Inputs: x [B,L,dModel], or [x, …states] with a state to start from; also as `kwargs.initialState`. What else a call may say is in
 * {@link SequenceCall}. Output: y [B,L,dModel], or
 * [B,dModel] without `returnSequences`; with `returnState` [y, …states].
 * A mask (`tf.layers.masking`, `embedding({maskZero})`) is honoured on either side and in between: real positions get what the
 * sequence would get without the padding, whatever stands there. TensorFlow.js 4.22 hands a mask, once a layer of a model was given it,
 * to all layers that run later, those of an unmasked branch too; where that is not meant, run the branches as models of their own.
 *
 * C = the mixer's complete configuration, S = its state, O = the options that a user writes.
 */
export abstract class MixerLayer<C extends object, S extends State, O extends object> extends tf.layers.Layer {
  readonly options: O &
    Required<Omit<SequenceOptions, 'dropout' | 'seed' | keyof KernelOptions>> &
    Pick<SequenceOptions, 'dropout' | 'seed'>;
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  private readonly kernels: Kernels;
  private config?: C;
  /** @internal The state after the last stateful call. */
  carried?: S;
  /** @internal */
  readonly matrices = new Matrices();
  /** @internal How a weight starts, to be changed before the layer is built. */
  initialize = (spec: WeightSpec, seed?: number): tf.Tensor => spec.initialize(seed);
  /** @internal What is dropped next. */
  readonly draws: Draws;
  /** By name: tfjs's list of weights changes its order when some are frozen. */
  private readonly variables = new Map<string, {spec: WeightSpec; variable?: tf.LayerVariable}>();

  constructor(
    readonly mixer: AnyMixer,
    args: LayerArgs & SequenceOptions & O,
  ) {
    super(args);
    const layer = this.getClassName();
    const fields = {...mixer.fields, ...sequenceFields};
    checkOptions(layer, args, [...Object.keys(fields), ...kernelOptionNames], {
      notes,
      elsewhere: publishedNames(mixer),
    });
    // tfjs's deserialization hands over null for what is absent.
    const given = Object.entries(args).filter(([, value]) => value !== undefined && value !== null);
    this.options = readFields(layer, fields, Object.fromEntries(given)) as typeof this.options;
    mixer.check?.(layer, this.options);
    const {seed = 0} = this.options;
    if (!Number.isSafeInteger(seed)) throw wrongField(layer, 'seed', 'a whole number', seed);
    this.kernels = readKernelOptions(layer, args);
    if (this.options.dropout && mixer.isBlock) {
      throw new Error(
        `${layer}: dropout must be left out with the mixer ${mixer.name}, whose residual sums are its own`,
      );
    }
    this.returnSequences = this.options.returnSequences;
    this.returnState = this.options.returnState;
    this.goBackwards = this.options.goBackwards;
    this._stateful = this.options.stateful;
    this.draws = new Draws(this.weightSeed);
    this.supportsMasking = true;
    this.inputSpec = [new tf.InputSpec({ndim: 3})];
  }

  /** The sizes; known once the layer is built. */
  get mixerConfig(): C {
    if (!this.config) {
      throw new Error(`${this.getClassName()}: ${this.name} is not built yet; call it on an input first`);
    }
    return this.config;
  }

  /** The states a stateful layer carries, as tfjs's recurrent layers have them. */
  get states(): Array<tf.Tensor | null> {
    return this.stateNames().map((name) => this.carried?.[name] ?? null);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const [x] = shapeList(inputShape);
    this.config = this.configFor(this.checkInputShape(x));
    const {initializer, regularizer} = this.kernels;
    for (const spec of this.mixer.weights(this.config)) {
      const {name, shape, isMatrix, hasOwnStart} = spec;
      if (isMatrix && this.matrices.start(this, name, shape, false)) {
        this.variables.set(name, {spec});
        continue;
      }
      const start = isMatrix && !hasOwnStart && initializer ? initializer : asInitializer(() => this.startOf(spec));
      const held = isMatrix ? regularizer : undefined;
      this.variables.set(name, {spec, variable: this.addWeight(name, [...shape], 'float32', start as never, held)});
    }
    super.build(inputShape);
  }

  private configFor(dModel: number): C {
    return this.mixer.configure(this.getClassName(), this.options, dModel) as C;
  }

  /** TensorFlow.js takes whatever shape a weight starts with. */
  private startOf(spec: WeightSpec): tf.Tensor {
    const {name, shape} = spec;
    const start = this.initialize(spec, this.weightSeed);
    if (tf.util.arraysEqual(start.shape, [...shape])) return start;
    throw new Error(
      `${this.getClassName()}: the weight ${name} of the mixer ${this.mixer.name} must start in its shape [${shape}], ` +
        `but starts in [${start.shape}]`,
    );
  }

  /** Both directions of a `tf.layers.bidirectional` have one seed, but are not to start alike. */
  private get weightSeed(): number | undefined {
    return this.goBackwards ? seedFor(this.options.seed, 'backwards') : this.options.seed;
  }

  /** @internal The layer as a link of a chain: its mixer with the current values of its weights. */
  block(training = false): Block {
    const config = this.mixerConfig;
    const weights: Weights = {};
    for (const [name, {spec, variable}] of this.variables) {
      weights[name] = spec.isMatrix ? this.matrices.read(name, variable, training) : variable!.read();
    }
    return {mixer: this.mixer, config, weights};
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    const [x] = shapeList(inputShape);
    const dModel = this.checkInputShape(x);
    const y = this.returnSequences ? [...x] : [x[0], dModel];
    if (!this.returnState) {
      return y;
    }
    const states = stateShapes(this.mixer, this.configFor(dModel), x[0]);
    return [y, ...states.map(([, shape]) => shape)];
  }

  override computeMask(_inputs: tf.Tensor | tf.Tensor[], mask?: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    const outputMask = this.returnSequences ? (toList(mask)[0] ?? null) : null;
    return (this.returnState ? [outputMask, ...this.states.map(() => null)] : outputMask) as tf.Tensor;
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
      const mask = toList(kwargs.mask as tf.Tensor | tf.Tensor[] | undefined)[0];
      checkMask(this.getClassName(), mask, x);
      const {sequenceIds, stateful = this.options.stateful, through, relay} = kwargs as SequenceCall;
      checkSequenceIds(this.getClassName(), sequenceIds, x, mask);
      this.checkTakesIds(sequenceIds);
      const carried = () => (relay?.before(this.name) as S | undefined) ?? this.carriedFor(x.shape[0], stateful);
      const initial = states.length > 0 ? this.named(states) : carried();
      const training = kwargs.training === true;
      // The same where it is run a second time.
      const how = {block: this.block(training), drop: training ? this.dropping() : undefined};
      let after: S;
      const run = (sequence: Sequence) => {
        const {output, state} = this.through(sequence, how);
        if (stateful) this.carry(state);
        relay?.after(this.name, state);
        after = state;
        return output;
      };
      const sequence: Sequence = {x: x as tf.Tensor3D, initial, mask, sequenceIds};
      // States that come out are outputs too, of which what is run otherwise has one.
      if (through && !this.returnState) {
        const variables = this.trainableWeights.map((weight) => weight.read());
        return through(run, sequence, variables);
      }
      const output = run(sequence);
      return this.returnState ? [output, ...this.stateNames().map((name) => after[name])] : output;
    });
  }

  /** What drops inputs [B,L,D] of the mixer, if any are to be. */
  private dropping(): RunContext['drop'] {
    const {dropout = 0} = this.options;
    if (dropout === 0) return undefined;
    // What is computed again for its gradient must drop the same.
    const seed = this.draws.next();
    return (x) => tf.dropout(x, dropout, [x.shape[0], 1, x.shape[2]], seed) as tf.Tensor3D;
  }

  private through(
    {x, initial, mask, sequenceIds}: Sequence,
    {block, drop}: {block: Block; drop: RunContext['drop']},
  ): {output: tf.Tensor; state: S} {
    const backwards = <T extends tf.Tensor>(t: T) => (this.goBackwards ? t.reverse<T>(1) : t);
    const aligned = mask && align(backwards(mask.toInt()), initial ? this.mixer.lookBack(this.mixerConfig) : 0);
    const sequence = backwards(x);
    const moved = aligned ? aligned.move(sequence) : sequence;
    const context = {padding: aligned?.padding, drop, sequenceIds: sequenceIds && backwards(sequenceIds)};
    const {y, state} = this.runAligned(moved, initial as S | undefined, context, block);
    return {output: this.returnSequences ? (aligned?.moveBack(y) ?? y) : lastPosition(y), state};
  }

  /** @internal Throws if there are ids that the mixer cannot follow. */
  checkTakesIds(sequenceIds: tf.Tensor | undefined): void {
    if (!sequenceIds || this.mixer.takesSequenceIds) return;
    throw new Error(
      `${this.getClassName()}: the mixer ${this.mixer.name} cannot keep packed documents apart, so it takes no sequenceIds`,
    );
  }

  /** The states given by name, where none are given in the list of inputs. */
  private statesOf({initialState}: {[key: string]: unknown}, listed: tf.Tensor[]): tf.Tensor[] {
    if (initialState === undefined || initialState === null) {
      return [];
    }
    if (!Array.isArray(initialState)) {
      const names = this.stateNames().join(', ');
      throw new Error(`${this.getClassName()}: initialState must be a list, [${names}]`);
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
  run(x: tf.Tensor3D, state?: S, mask?: tf.Tensor): {y: tf.Tensor3D; state: S} {
    if (!mask) return this.runAligned(x, state);
    return tf.tidy(() => {
      const aligned = align(mask, state ? this.mixer.lookBack(this.mixerConfig) : 0);
      const result = this.runAligned(aligned.move(x), state, {padding: aligned.padding});
      return {y: aligned.moveBack(result.y), state: result.state};
    });
  }

  /** @internal As `run`, where the real positions of each row are at its right end already. */
  runAligned(x: tf.Tensor3D, state?: S, context?: RunContext, block = this.block()): {y: tf.Tensor3D; state: S} {
    return tf.tidy(() => {
      const {weights, config} = block;
      // A block drops behind its norm.
      const input = this.mixer.inside ? x : (context?.drop?.(x) ?? x);
      return this.mixer.run(weights, config, input, state, context);
    });
  }

  /** Runs the layer for one position: x [B,dModel] → y of the same shape and the next state; `state` is not disposed. */
  step(x: tf.Tensor2D, state: S): {y: tf.Tensor2D; state: S} {
    this.checkStep(x, state);
    return tf.tidy(() => {
      const {y, states} = stepChain([this.block()], x, [state]);
      return {y, state: states[0] as S};
    });
  }

  /** The state before the first position. */
  zeroState(batch: number): S {
    checkPositiveInteger(`${this.getClassName()}.zeroState`, 'batch', batch);
    return zeroState(this.mixer, this.mixerConfig, batch) as S;
  }

  /** Forgets the state a stateful layer carries; the next batch starts from zero. */
  override resetStates(): void {
    tf.dispose(this.carried);
    this.carried = undefined;
  }

  /** @internal Makes copies of these the state before the next stateful call. */
  carry(state: S): void {
    this.resetStates();
    const kept = Object.entries(state).map(([name, part]) => [name, tf.keep(part.clone())] as const);
    this.carried = Object.fromEntries(kept) as S;
  }

  private carriedFor(batch: number, stateful: boolean): S | undefined {
    const carried = stateful ? this.carried : undefined;
    const carriedBatch = carried && Object.values(carried)[0].shape[0];
    if (carried && carriedBatch !== batch) {
      throw new Error(
        `${this.getClassName()}: ${this.name} carries the state of a batch of ${carriedBatch}, ` +
          `but is given a batch of ${batch}; call resetStates() first`,
      );
    }
    return carried;
  }

  private stateNames(): string[] {
    return stateNames(this.mixer);
  }

  private named(states: tf.Tensor[]): S {
    return Object.fromEntries(this.stateNames().map((name, i) => [name, states[i]])) as S;
  }

  /** Checks what `step` is given; states of the wrong shape would be read as another batch. */
  private checkStep(x: tf.Tensor, state: S): void {
    const op = `${this.getClassName()}.step`;
    checkFloatTensor(op, 'x', x);
    checkAxes(op, 'x', x.shape, ['batch', 'dModel']);
    checkChannels(op, 'x', x.shape, (this.mixerConfig as {dModel?: number}).dModel);
    const names = this.stateNames();
    if (typeof state !== 'object' || state === null) {
      throw new Error(`${op}: state must be {${names.join(', ')}}, such as zeroState(batch), but is ${String(state)}`);
    }
    checkStates(
      op,
      names.map((name) => state[name]),
      stateShapes(this.mixer, this.mixerConfig, x.shape[0]),
    );
  }

  /** Checks the input's shape and gives back dModel. */
  private checkInputShape(shape: tf.Shape): number {
    const hint =
      shape.length === 2 ? '; expandDims(-1), or tf.layers.reshape in a model, adds an axis of features' : '';
    checkAxes(this.getClassName(), 'input', shape, ['batch', 'length', 'dModel'], hint);
    return checkChannels(this.getClassName(), 'input', shape, (this.config as {dModel?: number} | undefined)?.dModel);
  }

  private checkInputs(x: tf.Tensor | tf.SymbolicTensor, states: Array<tf.Tensor | tf.SymbolicTensor>): void {
    checkFloatTensor(this.getClassName(), 'input', x);
    this.checkInputShape(x.shape);
    if (states.length > 0 && this.config) {
      checkStates(this.getClassName(), states, stateShapes(this.mixer, this.config, x.shape[0]));
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
    return {...super.getConfig(), ...Object.fromEntries(options), ...this.kernels.config};
  }

  override dispose(): ReturnType<tf.layers.Layer['dispose']> {
    const result = super.dispose();
    if (result.refCountAfterDispose === 0) {
      this.resetStates();
    }
    return result;
  }
}

// What the layers of a model drop and carry is asked of them by who trains it, which may be another copy of the package.
recogniseCopies(MixerLayer, 'MixerLayer');

function shapeList(shape: tf.Shape | tf.Shape[]): tf.Shape[] {
  return Array.isArray(shape[0]) ? (shape as tf.Shape[]) : [shape as tf.Shape];
}
