/**
 * The two ends of a language model: token ids to vectors, and vectors to logits. With a tied head both are one table, so the layer is
 * applied twice: to ids it looks rows up, to vectors it multiplies by the table. One layer at two nodes saves, loads and counts its
 * weight once.
 */
import * as tf from '@tensorflow/tfjs';
import {asInitializer, fanIn, normal, seedFor} from '../mixers/initializers';
import type {Weight} from '../mixers/weight';
import {embedding, linear} from '../mixers/weight';
import {registerClass} from '../registerClass';
import {Matrices} from './matrices';
import type {LayerArgs} from './options';
import {checkOptions, checkPositiveInteger} from './options';

/** The options of either layer. */
export interface VocabularyArgs extends LayerArgs {
  /** Rows of the table, padding included. */
  vocabSize: number;
  /** Width of a vector. */
  dModel: number;
  /** Fixes the start of the table. */
  seed?: number;
}

type Kwargs = {training?: unknown};

/** ids [B,L] → vectors [B,L,dModel]; vectors [...,dModel] → logits [...,vocabSize]. The table starts N(0, 0.02²). */
export class TokenEmbedding extends tf.layers.Layer {
  static className = 'MambaTokenEmbedding';

  readonly vocabSize: number;
  readonly dModel: number;
  readonly seed?: number;
  /** @internal */
  readonly matrices = new Matrices();
  private variable?: tf.LayerVariable;

  constructor(args: VocabularyArgs) {
    super(args);
    ({vocabSize: this.vocabSize, dModel: this.dModel, seed: this.seed} = checkVocabulary(this.getClassName(), args));
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const start = normal(0.02);
    const initializer = asInitializer((shape) => start(shape, seedFor(this.seed, 'weight'))) as never;
    const shape = [this.vocabSize, this.dModel];
    if (!this.matrices.start(this, 'weight', shape, true)) {
      this.variable = this.addWeight('weight', shape, 'float32', initializer);
    }
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    const shape = inputShape as tf.Shape;
    return shape.length === 3 ? [...shape.slice(0, -1), this.vocabSize] : [...shape, this.dModel];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], {training}: Kwargs = {}): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    return x.rank === 3 ? this.logits(x, training === true) : this.embed(x, training === true);
  }

  /** @internal */
  table(training: boolean): Weight {
    return this.matrices.read('weight', this.variable, training);
  }

  /** ids of any shape → [...,dModel] */
  embed(ids: tf.Tensor, training = false): tf.Tensor {
    return tf.tidy(() => {
      const rows = ids.dtype === 'int32' ? ids : ids.toInt(); // tf.data makes float32 tensors
      return embedding({ids: rows, weight: this.table(training)});
    });
  }

  /** [...,dModel] → [...,vocabSize] */
  logits(x: tf.Tensor, training = false): tf.Tensor {
    return linear({x, weight: this.table(training), isTable: true});
  }

  override getConfig(): tf.serialization.ConfigDict {
    return vocabularyConfig(this, super.getConfig());
  }
}
registerClass(TokenEmbedding);

/** A head of its own: vectors [...,dModel] → logits [...,vocabSize]. */
export class LanguageHead extends tf.layers.Layer {
  static className = 'MambaLanguageHead';

  readonly vocabSize: number;
  readonly dModel: number;
  readonly seed?: number;
  /** @internal */
  readonly matrices = new Matrices();
  private variable?: tf.LayerVariable;

  constructor(args: VocabularyArgs) {
    super(args);
    ({vocabSize: this.vocabSize, dModel: this.dModel, seed: this.seed} = checkVocabulary(this.getClassName(), args));
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const start = fanIn(this.dModel);
    const initializer = asInitializer((shape) => start(shape, seedFor(this.seed, 'kernel'))) as never;
    const shape = [this.dModel, this.vocabSize];
    if (!this.matrices.start(this, 'kernel', shape, false)) {
      this.variable = this.addWeight('kernel', shape, 'float32', initializer);
    }
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return [...(inputShape as tf.Shape).slice(0, -1), this.vocabSize];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], {training}: Kwargs = {}): tf.Tensor {
    return this.logits(Array.isArray(inputs) ? inputs[0] : inputs, training === true);
  }

  /** [...,dModel] → [...,vocabSize] */
  logits(x: tf.Tensor, training = false): tf.Tensor {
    return linear({x, weight: this.kernel(training)});
  }

  /** @internal */
  kernel(training: boolean): Weight {
    return this.matrices.read('kernel', this.variable, training);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return vocabularyConfig(this, super.getConfig());
  }
}
registerClass(LanguageHead);

function checkVocabulary(layer: string, args: VocabularyArgs): VocabularyArgs {
  checkOptions(layer, args, ['vocabSize', 'dModel', 'seed']);
  checkPositiveInteger(layer, 'vocabSize', args.vocabSize);
  checkPositiveInteger(layer, 'dModel', args.dModel);
  return args;
}

function vocabularyConfig(
  {vocabSize, dModel, seed}: Pick<VocabularyArgs, 'vocabSize' | 'dModel' | 'seed'>,
  config: tf.serialization.ConfigDict,
): tf.serialization.ConfigDict {
  return {...config, vocabSize, dModel, ...(seed !== undefined && {seed})};
}
