/** The short causal depthwise convolution as a layer. */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';
import {causalConv1d} from '../ops/causalConv1d';
import type {ConvActivation} from '../ops/causalConv1d/kernels';
import {asInitializer, fanIn} from './initializers';
import type {LayerArgs} from './options';
import {checkFlag, checkOptions, checkPositiveInteger, checkWord} from './options';

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
    this.inputSpec = [new tf.InputSpec({ndim: 3})];
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = inputShape as tf.Shape;
    const channels = shape[2];
    if (shape.length !== 3 || typeof channels !== 'number') {
      throw new Error(
        `${this.getClassName()}: input must have shape [batch, length, channels] with known channels, but has ${showShape(shape)}`,
      );
    }
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
      const x = Array.isArray(inputs) ? inputs[0] : inputs;
      const mask = kwargs.mask as tf.Tensor | tf.Tensor[] | undefined;
      const real = mask && (Array.isArray(mask) ? mask[0] : mask).toFloat().expandDims(-1);
      const {y} = causalConv1d({
        x: (real ? x.mul(real) : x) as tf.Tensor3D,
        weight: this.weight!.read() as tf.Tensor2D,
        bias: this.bias?.read() as tf.Tensor1D | undefined,
        activation: this.activation,
      });
      return real ? y.mul(real) : y;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const {kernelSize, activation, useBias} = this;
    return {...super.getConfig(), kernelSize, activation, useBias};
  }
}
tf.serialization.registerClass(CausalConv1D);
