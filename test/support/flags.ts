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

/**
 * For sweeps over hundreds of small shapes. On WebGL TensorFlow.js compiles its own programs for every shape anew, which is most of their
 * time, unless shapes are uniforms. Not for all specs: 4.22 then runs programs made for unfolded textures on folded ones.
 */
export function uniformShapes(): void {
  withFlag('WEBGL_USE_SHAPES_UNIFORMS', true);
}
