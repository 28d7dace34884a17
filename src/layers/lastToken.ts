/**
 * The last real position of each sequence: what a causal model knows of the whole, and so what a classifier is to be put on. Unlike
 * `returnSequences: false` it may stand behind other layers, such as a norm.
 */
import * as tf from '@tensorflow/tfjs';
import {align, lastPosition} from '../mixers/masking';
import {registerClass} from '../registerClass';
import {checkAxes, checkChannels, checkFloatTensor, checkMask, toList} from './inputs';
import type {LayerArgs} from './options';
import {checkOptions} from './options';

/** The options of {@link LastToken}: those of every layer. */
export type LastTokenArgs = LayerArgs;

/**
 * [batch, length, channels] → [batch, channels]: each row's last position that the mask (`tf.layers.masking`, `embedding({maskZero})`) does not
 * call padding, wherever that lies; the last position without a mask. Of a row that is all padding, its last position.
 */
export class LastToken extends tf.layers.Layer {
  static className = 'LastToken';

  constructor(args: LastTokenArgs = {}) {
    super(args);
    checkOptions(this.getClassName(), args, []);
    this.supportsMasking = true;
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    const shape = inputShape as tf.Shape;
    checkAxes(this.getClassName(), 'input', shape, ['batch', 'length', 'channels']);
    return [shape[0], shape[2]];
  }

  /** One position is left, which is real. */
  override computeMask(): tf.Tensor {
    return null as unknown as tf.Tensor;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: {[key: string]: unknown} = {}): tf.Tensor {
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const [x] = toList(inputs);
      checkFloatTensor(this.getClassName(), 'input', x);
      checkAxes(this.getClassName(), 'input', x.shape, ['batch', 'length', 'channels']);
      checkChannels(this.getClassName(), 'input', x.shape);
      const [mask] = toList(kwargs.mask as tf.Tensor | tf.Tensor[] | undefined);
      checkMask(this.getClassName(), mask, x);
      return lastPosition(mask ? align(mask.toInt(), 0).move(x as tf.Tensor3D) : x);
    });
  }
}
registerClass(LastToken);
