/** Flags of TensorFlow.js for the specs of a `describe`. */
import * as tf from '@tensorflow/tfjs';

/** Sets a flag for each spec, and puts it back. */
export function withFlag(name: string, value: number | boolean): void {
  let before: number | boolean | string;
  beforeEach(() => {
    before = tf.env().get(name);
    tf.env().set(name, value);
  });
  afterEach(() => tf.env().set(name, before));
}
