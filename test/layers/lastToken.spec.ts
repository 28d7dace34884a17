/** The pooling layer lastToken: its positions, its gradient, in a model with masks, and what it refuses. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import {tidySpecs} from './layerUnderTest';

/** Each value tells its row, position and channel. */
const sequence = () =>
  tf.tensor3d(
    Array.from({length: 4}, (_, b) => Array.from({length: 3}, (_, t) => [100 * b + 10 * t, 100 * b + 10 * t + 1])),
  );

/** Masks of four rows of three, and the position that each row ends with. */
const masks: Record<string, {mask?: number[][]; last: number[]}> = {
  'no mask': {last: [2, 2, 2, 2]},
  'padding on the right': {mask: [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], last: [2, 1, 0, 2]},
  'padding on the left': {mask: [[1, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1]], last: [2, 2, 2, 2]},
  'padding on both sides and in between': {mask: [[0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 0]], last: [1, 2, 0, 2]},
}; // prettier-ignore

describe('lastToken', () => {
  tidySpecs();

  for (const [name, {mask, last}] of Object.entries(masks)) {
    it(`gives the last real position, and only that has a gradient: ${name}`, async () => {
      for (const dtype of ['bool', 'int32', 'float32'] as const) {
        const kwargs = mask && {mask: tf.tensor2d(mask, [4, 3], dtype)};
        const run = (x: tf.Tensor) => layers.lastToken().apply(x, kwargs) as tf.Tensor;
        expect(await run(sequence()).array()).toEqual(last.map((t, b) => [100 * b + 10 * t, 100 * b + 10 * t + 1]));
        const gradient = (await tf.grad(run)(sequence()).array()) as number[][][];
        expect(gradient).toEqual(last.map((position) => [0, 1, 2].map((t) => (t === position ? [1, 1] : [0, 0]))));
      }
    });
  }

  it('lets a model classify padded sequences as it does without the padding, and is saved with it', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.masking({maskValue: 0, inputShape: [null, 3]}),
        layers.mambaBlock({dState: 2, seed: 1}),
        layers.rmsNormalization(),
        layers.lastToken(),
        tf.layers.dense({units: 2}),
      ],
    });
    const x = tf.randomNormal([1, 4, 3], 0, 1, 'float32', 1);
    const alone = await (model.predict(x) as tf.Tensor).array();
    const zeros = tf.zeros([1, 2, 3]);
    for (const padded of [tf.concat([x, zeros], 1), tf.concat([zeros, x], 1)]) {
      const [[a, b]] = (await (model.predict(padded) as tf.Tensor).array()) as number[][];
      const [[expectedA, expectedB]] = alone as number[][];
      expect(a).toBeCloseTo(expectedA, 4);
      expect(b).toBeCloseTo(expectedB, 4);
    }
    const again = await tf.models.modelFromJSON(JSON.parse(model.toJSON() as string) as never);
    expect(again.layers.map((layer) => layer.getClassName())).toContain('LastToken');
    expect(again.outputs[0].shape).toEqual([null, 2]);
  });

  it('refuses what is wrong', () => {
    const wrong: Array<[() => unknown, RegExp]> = [
      [() => layers.lastToken({units: 2} as never), /^LastToken: unknown option units/],
      [() => layers.lastToken().apply(tf.zeros([2, 3])), /^LastToken: input must have shape \[batch, length, channels\], but has \[2,3\]/],
      [() => layers.lastToken().apply(tf.zeros([2, 0, 3])), /^LastToken: input must not be empty, but has shape \[2,0,3\]/],
      [() => layers.lastToken().apply(tf.zeros([2, 3, 4], 'int32')), /^LastToken: input must have dtype float32, but has int32/],
      [() => layers.lastToken().apply(tf.zeros([2, 3, 4]), {mask: tf.ones([2, 4])}), /^LastToken: mask must have shape \[batch, length\], \[2,3\], but has \[2,4\]/],
    ]; // prettier-ignore
    for (const [run, message] of wrong) expect(run).toThrowError(message);
  });
});
