/** A weight with a low-rank correction: products, look-ups and their gradients, against the definition in float64. */
import * as tf from '@tensorflow/tfjs';
import {useCorrectedWeights} from '../../src/mixers/lora';
import type {LoraWeight} from '../../src/mixers/weight';
import {dense, embedding, linear} from '../../src/mixers/weight';
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

const scale = 0.75;
const [rows, columns, rank] = [5, 7, 3];

type Factors = 'down' | 'up' | 'magnitude';

const at = ({shape, values}: Array64, i: number, j: number) => values[i * shape[1] + j];

/** base + down·up·scale */
function sum({base, down, up}: Arrays): Array64 {
  const low = (i: number, j: number) => Array.from({length: rank}, (_, r) => at(down, i, r) * at(up, r, j));
  const values = base.values.map((value, index) => {
    const [i, j] = [Math.floor(index / columns), index % columns];
    return value + scale * low(i, j).reduce((a, b) => a + b, 0);
  });
  return {shape: base.shape, values};
}

const lengths = (matrix: Array64) =>
  Array.from({length: columns}, (_, j) =>
    Math.hypot(...Array.from({length: matrix.shape[0]}, (_, i) => at(matrix, i, j))),
  );

/** The corrected weight; its columns are stretched from `from`, which gradients take for a constant. */
function corrected(given: Arrays, from: number[]): Array64 {
  const {shape, values} = sum(given);
  const {magnitude} = given as {magnitude?: Array64};
  const stretch = (index: number) => (magnitude ? magnitude.values[index % columns] / from[index % columns] : 1);
  return {shape, values: values.map((value, index) => value * stretch(index))};
}

interface Use {
  /** What is computed with the weight. */
  run: (weight: LoraWeight, x: tf.Tensor) => tf.Tensor;
  x: Array64;
  /** The same by definition. */
  reference: (x: Array64, weight: Array64) => Array64;
}

const random = seededRandom(5);
const times = (x: Array64, out: number, weight: (inner: number, o: number) => number): Array64 => {
  const [batch, width] = x.shape;
  const values = Float64Array.from({length: batch * out}, (_, index) => {
    const [b, o] = [Math.floor(index / out), index % out];
    return Array.from({length: width}, (_, i) => at(x, b, i) * weight(i, o)).reduce((p, q) => p + q, 0);
  });
  return {shape: [batch, out], values};
};

const uses: Record<string, Use> = {
  'a product by a kernel': {
    run: (weight, x) => linear({x, weight}),
    x: normal(random, [4, rows]),
    reference: (x, weight) => times(x, columns, (i, o) => at(weight, i, o)),
  },
  'a product by a table': {
    run: (weight, x) => linear({x, weight, isTable: true}),
    x: normal(random, [4, columns]),
    reference: (x, weight) => times(x, rows, (i, o) => at(weight, o, i)),
  },
  'a look-up': {
    run: (weight, ids) => embedding({ids: ids.toInt(), weight}),
    x: fill([4], (i) => [3, 0, 3, 4][i]),
    reference: (ids, weight) => ({
      shape: [4, columns],
      values: Float64Array.from({length: 4 * columns}, (_, i) =>
        at(weight, ids.values[Math.floor(i / columns)], i % columns),
      ),
    }),
  },
};

describe('a corrected weight', () => {
  beforeAll(useCorrectedWeights);

  for (const [name, {run, x, reference}] of Object.entries(uses)) {
    for (const factors of [
      ['down', 'up'],
      ['down', 'up', 'magnitude'],
    ] as Factors[][]) {
      it(`with ${factors.join(', ')} gives ${name} and its gradients`, async () => {
        const arrays: Arrays = {
          base: normal(random, [rows, columns]),
          down: normal(random, [rows, rank]),
          up: normal(random, [rank, columns]),
          magnitude: normal(random, [columns]),
        };
        const given = Object.fromEntries(['base', ...factors].map((factor) => [factor, arrays[factor]]));
        const from = lengths(sum(given));
        const y = reference(x, corrected(given, from));
        const weights = fill(y.shape, () => random() - 0.5);
        const loss = (changed: Arrays) =>
          reference(x, corrected(changed, from)).values.reduce(
            (total, value, i) => total + value * weights.values[i],
            0,
          );
        // Exact but for rounding, since the loss is linear in each number alone.
        const slope = (factor: string): Array64 => {
          const {shape, values} = given[factor];
          const moved = (i: number, by: number) => values.map((value, k) => (k === i ? value + by : value));
          const at = (i: number, by: number) => loss({...given, [factor]: {shape, values: moved(i, by)}});
          return {shape, values: values.map((_, i) => (at(i, 1e-3) - at(i, -1e-3)) / 2e-3)};
        };

        const tensors = mapValues(given, toTensor);
        const [input, dy] = [toTensor(x), toTensor(weights)];
        const weightOf = (values: tf.Tensor[]): LoraWeight => ({
          form: 'lora',
          base: dense(tensors['base']),
          scale,
          dropout: 0,
          ...(Object.fromEntries(factors.map((factor, i) => [factor, values[i]])) as Record<Factors, never>),
        });
        const values = factors.map((factor) => tensors[factor]);
        const output = run(weightOf(values), input);
        const slopes = tf.grads((...factors: tf.Tensor[]) => run(weightOf(factors), input))(values, dy);
        const actual = await readAndDispose({
          y: output,
          ...Object.fromEntries(factors.map((factor, i) => [factor, slopes[i]])),
        });
        tf.dispose([tensors, input, dy]);
        const expected = {y, ...Object.fromEntries(factors.map((factor) => [factor, slope(factor)]))};
        expect(mismatches(actual, expected, backendSettings().gradient)).toEqual([]);
      });
    }
  }

  it('does not see a share of its inputs in training, and sees all of them otherwise', async () => {
    const x = tf.ones([1, 1001]); // an odd number, of which half cannot be left
    const weight = (dropout: number): LoraWeight => ({
      form: 'lora',
      base: dense(tf.zeros([1001, 1])),
      down: tf.ones([1001, 1]),
      up: tf.ones([1, 1]),
      scale: 1,
      dropout,
    });
    const {all, some} = await readAndDispose(
      tf.tidy(() => ({all: linear({x, weight: weight(0)}), some: linear({x, weight: weight(0.5)})})),
    );
    x.dispose();
    expect(all.values[0]).toBe(1001);
    expect(some.values[0]).not.toBe(1001);
    expect(some.values[0] % 2).toBe(0); // each that is left counts twice
    expect(Math.abs(some.values[0] - 1001)).toBeLessThan(200); // six deviations
  });
});
