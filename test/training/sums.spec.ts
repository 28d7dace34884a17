/**
 * Our losses and evaluation are right over very many values, on every backend: TensorFlow.js's own `mean` and `sum` run on in one float32
 * on wasm. Where that comes from TensorFlow.js, as where a NaN is lost there, a spec shows that our advice against it holds.
 */
import * as tf from '@tensorflow/tfjs';
import {crossEntropy} from '../../src/ops/crossEntropy';
import {globalNorm} from '../../src/ops/adamW';
import {backendSettings} from '../support/settings';

/** More than a GPU in software is to be asked for. */
const many = tf.getBackend().startsWith('webg') ? 2 ** 14 : 5_000_000;
const tolerance = backendSettings().output;

/** The one value, measured against what it should be. */
async function error(make: () => tf.Tensor, expected: number): Promise<number> {
  const result = tf.tidy(make);
  const [value] = await result.data();
  result.dispose();
  return Math.abs(value / expected - 1);
}

describe('over very many values', () => {
  it('the cross entropy is right', async () => {
    const loss = () => crossEntropy({logits: tf.fill([many, 2], 0.1), labels: tf.zeros([many], 'int32')});
    expect(await error(loss, Math.log(2))).toBeLessThan(tolerance);
  });

  it('the gradient norm is right', async () => {
    expect(await error(() => globalNorm([tf.fill([many], 0.1)]), 0.1 * Math.sqrt(many))).toBeLessThan(tolerance);
  });

  it('a mean of one axis after the other is right', async () => {
    const x = () => tf.fill([many / 64, 64], 0.1);
    // Rows of 64, and then their means: at most some 80,000 terms in one float32.
    expect(await error(() => x().mean(-1).mean(), 0.1)).toBeLessThan(1e-3);
  });
});

describe('a NaN', () => {
  it('is kept by a choice as the documentation has it', async () => {
    const [a, b] = [tf.tensor1d([1, 3, 2]), tf.tensor1d([2, 1, NaN])];
    const least = tf.tidy(() => tf.where(a.less(b), a, b));
    expect([...(await least.data())]).toEqual([1, 1, NaN]);
    tf.dispose([a, b, least]);
  });
});
