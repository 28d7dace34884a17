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
 * For specs of tensors longer than a texture's edge, which are folded. TensorFlow.js 4.22, if told to make shapes uniforms (setup.ts does),
 * takes programs made for unfolded textures for folded ones too, and reads something else.
 */
export function foldedTextures(): void {
  withFlag('WEBGL_USE_SHAPES_UNIFORMS', false);
}
