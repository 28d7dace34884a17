/** The short causal depthwise convolution as a layer. */
import * as tf from '@tensorflow/tfjs';
import {causalConv1d} from '../ops/causalConv1d';
import type {ConvActivation} from '../ops/causalConv1d/kernels';
import {asInitializer, fanIn} from '../mixers/initializers';
import {zeroedAt} from '../mixers/masking';
import {registerClass} from '../registerClass';
import {checkAxes, checkChannels, checkFloatTensor, checkMask, toList} from './inputs';
import type {LayerArgs} from './options';
import {checkFlag, checkOptions, checkPositiveInteger, checkWord} from './options';
import type {SequenceCall} from './sequenceCall';
import {checkSequenceIds} from './sequenceCall';

/** The options of the convolution. */
export interface CausalConv1DArgs extends LayerArgs {
  /** Positions each output sees, K. */
  kernelSize: number;
  /** Applied to the sum ('linear'). */
  activation?: ConvActivation;
  /** Whether there is a bias per channel (true). */
  useBias?: boolean;
}

/**
 * `y_t = act(bias + Σ_k weight[:,k] · x_{t-K+1+k})` per channel: [B,L,D] → the same shape. Masked positions count as zero, and come
 * out as zero.
 */
export class CausalConv1D extends tf.layers.Layer {
  static className = 'CausalConv1D';

  readonly kernelSize: number;
  readonly activation: ConvActivation;
  readonly useBias: boolean;
  private weight?: ReturnType<tf.layers.Layer['addWeight']>;
  private bias?: ReturnType<tf.layers.Layer['addWeight']>;

  constructor(args: CausalConv1DArgs) {
    super(args);
    checkOptions(this.getClassName(), args, ['kernelSize', 'activation', 'useBias']);
    this.kernelSize = args.kernelSize;
    this.activation = args.activation ?? 'linear';
    this.useBias = args.useBias ?? true;
    checkPositiveInteger(this.getClassName(), 'kernelSize', this.kernelSize);
    checkWord(this.getClassName(), 'activation', this.activation, ['linear', 'silu']);
    checkFlag(this.getClassName(), 'useBias', this.useBias);
    this.supportsMasking = true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const channels = this.checkInputShape(inputShape as tf.Shape);
    const initializer = asInitializer(fanIn(this.kernelSize)) as never;
    this.weight = this.addWeight('weight', [channels, this.kernelSize], 'float32', initializer);
    this.bias = this.useBias ? this.addWeight('bias', [channels], 'float32', initializer) : undefined;
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return [...(inputShape as tf.Shape)];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: {[key: string]: unknown} = {}): tf.Tensor {
    return tf.tidy(() => {
      const [x] = toList(inputs);
      checkFloatTensor(this.getClassName(), 'input', x);
      this.checkInputShape(x.shape);
      const [mask] = toList(kwargs.mask as tf.Tensor | tf.Tensor[] | undefined);
      checkMask(this.getClassName(), mask, x);
      const {sequenceIds} = kwargs as SequenceCall;
      checkSequenceIds(this.getClassName(), sequenceIds, x, mask);
      const real = mask?.cast('bool').toFloat().expandDims(-1);
      const {y} = causalConv1d({
        x: zeroedAt(real && {mask: real}, x as tf.Tensor3D),
        weight: this.weight!.read() as tf.Tensor2D,
        bias: this.bias?.read() as tf.Tensor1D | undefined,
        activation: this.activation,
        sequenceIds,
      });
      return real ? y.mul(real) : y;
    });
  }

  private checkInputShape(shape: tf.Shape): number {
    checkAxes(this.getClassName(), 'input', shape, ['batch', 'length', 'channels']);
    return checkChannels(this.getClassName(), 'input', shape, this.weight?.shape[0] ?? undefined);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const {kernelSize, activation, useBias} = this;
    return {...super.getConfig(), kernelSize, activation, useBias};
  }
}
registerClass(CausalConv1D);
