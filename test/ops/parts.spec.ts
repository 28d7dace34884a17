/** What a block fuses while it is trained: products in parts, and gradients of what is read twice, against the float64 references. */
import * as tf from '@tensorflow/tfjs';
import {dense, linearInParts} from '../../src/mixers/weight';
import {linearGradReference, linearReference} from '../../src/ops/linear/reference';
import {rmsNormOutputs} from '../../src/ops/rmsNorm';
import {rmsNormGradReference} from '../../src/ops/rmsNorm/reference';
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

const plus = (a: Array64, b: Array64): Array64 => ({shape: a.shape, values: a.values.map((x, i) => x + b.values[i])});

/** Columns of a matrix. */
function columns({shape: [rows, width], values}: Array64, from: number, count: number): Array64 {
  return fill([rows, count], (i) => values[Math.floor(i / count) * width + from + (i % count)]);
}

/** Σ outputs·dys, and what it gives as the gradients of the inputs. */
function gradients(inputs: tf.Tensor[], dys: tf.Tensor[], run: (inputs: tf.Tensor[]) => tf.Tensor[]): tf.Tensor[] {
  return tf.tidy(() =>
    tf.grads((...given: tf.Tensor[]) => tf.addN(run(given).map((y, i) => y.mul(dys[i]).sum())))(inputs),
  );
}

describe('what is fused for training', () => {
  // Few rows, a tile and more of them, a sum that is cut into slices; parts that end within a tile.
  for (const [rows, width, sizes, passes] of [
    [3, 5, [2, 4], true],
    [9, 33, [7, 7], false],
    [70, 20, [1, 64, 3], true],
    [2100, 6, [5, 16, 16], true],
  ] as [number, number, number[], boolean][]) {
    it(`a product of ${rows} rows in parts of ${sizes.join(', ')}${passes ? ' and an input that is read twice' : ''}`, async () => {
      const random = seededRandom(rows);
      const out = sizes.reduce((a, b) => a + b);
      const [x, kernel, dPassed] = [
        [rows, width],
        [width, out],
        [rows, width],
      ].map((shape) => normal(random, shape));
      const dy = normal(random, [rows, out]);
      const starts = sizes.map((_, k) => sizes.slice(0, k).reduce((a, b) => a + b, 0));
      const inParts = (whole: Array64): Arrays =>
        Object.fromEntries(sizes.map((size, k) => [`part ${k}`, columns(whole, starts[k], size)]));

      const [xTensor, kernelTensor, ...dys] = [x, kernel, ...Object.values(inParts(dy)), dPassed].map(toTensor);
      const run = ([x, kernel]: tf.Tensor[]) => linearInParts({x, weight: dense(kernel)}, sizes, passes);
      const parts = tf.tidy(() => run([xTensor, kernelTensor]).slice(0, sizes.length));
      const before = tf.memory().numTensors;
      const [dx, dKernel] = gradients([xTensor, kernelTensor], dys, (inputs) => {
        const outputs = run(inputs);
        return passes ? outputs : outputs.slice(0, sizes.length);
      });
      expect(tf.memory().numTensors).toBe(before + 2);

      const slopes = linearGradReference({x, kernel}, false, dy);
      const {output, gradient} = backendSettings();
      const y = await readAndDispose(Object.fromEntries(parts.map((part, k) => [`part ${k}`, part])));
      expect(mismatches(y, inParts(linearReference({x, kernel}, false)), output)).toEqual([]);
      const expected = {dx: passes ? plus(slopes.x, dPassed) : slopes.x, dKernel: slopes.kernel};
      expect(mismatches(await readAndDispose({dx, dKernel}), expected, gradient)).toEqual([]);
      tf.dispose([xTensor, kernelTensor, dys]);
    });
  }

  it('a norm whose input is read twice', async () => {
    const random = seededRandom(4);
    const arrays = {x: normal(random, [2, 3, 7]), weight: normal(random, [7])};
    const [dy, dResidual] = [normal(random, [2, 3, 7]), normal(random, [2, 3, 7])];
    const {x, weight} = mapValues(arrays, toTensor);
    const dys = [dy, dResidual].map(toTensor);
    const before = tf.memory().numTensors;
    const [dx, dWeight] = gradients([x, weight], dys, ([x, weight]) => {
      const {y, residual = x} = rmsNormOutputs({x, weight: weight as tf.Tensor1D}, true);
      return [y, residual];
    });
    expect(tf.memory().numTensors).toBe(before + 2);
    const expected = rmsNormGradReference(arrays, 1e-5, dy, dResidual);
    const actual = await readAndDispose({x: dx, weight: dWeight});
    expect(mismatches(actual, expected as Arrays, backendSettings().gradient)).toEqual([]);
    tf.dispose([x, weight, dys]);
  });
});
