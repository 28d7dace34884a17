/** The other strand of one-hot DNA, read its own way: both axes turned around, as the complement of base b is 3 − b. */
import * as tf from '@tensorflow/tfjs';

/** [batch, length, 4] → the same shape. */
export class ReverseComplement extends tf.layers.Layer {
  static className = 'ReverseComplement';

  override computeOutputShape(shape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return shape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.reverse([inputs].flat()[0], [1, 2]));
  }
}
tf.serialization.registerClass(ReverseComplement);
