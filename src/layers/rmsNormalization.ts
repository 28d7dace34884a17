/** The root-mean-square norm as a layer, which tfjs lacks. */
import * as tf from '@tensorflow/tfjs';
import {rmsNorm} from '../ops/rmsNorm';
import {asInitializer, ones} from '../mixers/initializers';
import {zeroedAt} from '../mixers/masking';
import {registerClass} from '../registerClass';
import {checkChannels, checkFloatTensor, checkMask, toList} from './inputs';
import type {LayerArgs} from './options';
import {checkOptions, checkPositiveNumber} from './options';

/** The options of the norm. */
export interface RMSNormalizationArgs extends LayerArgs {
  /** Added to the mean square (1e-5). */
  epsilon?: number;
}

/** Scales every vector along the last axis to a root mean square of 1, then by a learned weight: [..., D] → the same shape. */
export class RMSNormalization extends tf.layers.Layer {
  static className = 'RMSNormalization';

  readonly epsilon: number;

  constructor(args: RMSNormalizationArgs = {}) {
    super(args);
    checkOptions(this.getClassName(), args, ['epsilon']);
    this.epsilon = args.epsilon ?? 1e-5;
    checkPositiveNumber(this.getClassName(), 'epsilon', this.epsilon);
    this.supportsMasking = true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const channels = checkChannels(this.getClassName(), 'input', inputShape as tf.Shape);
    this.addWeight('weight', [channels], 'float32', asInitializer(ones) as never);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return [...(inputShape as tf.Shape)];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: {[key: string]: unknown} = {}): tf.Tensor {
    return tf.tidy(() => {
      const [x] = toList(inputs);
      checkFloatTensor(this.getClassName(), 'input', x);
      checkChannels(this.getClassName(), 'input', x.shape, this.weights[0].shape[0]!);
      const [mask] = toList(kwargs.mask as tf.Tensor | tf.Tensor[] | undefined);
      checkMask(this.getClassName(), mask, x);
      const padding = mask && {mask: mask.toFloat().expandDims(-1)};
      const weight = this.weights[0].read() as tf.Tensor1D;
      return rmsNorm({x: zeroedAt(padding, x), weight, epsilon: this.epsilon}).y;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), epsilon: this.epsilon};
  }
}
registerClass(RMSNormalization);
