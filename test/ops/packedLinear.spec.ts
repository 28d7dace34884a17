/** Products by packed rows and look-ups in them, on every backend, against the float64 product by what the rows stand for. */
import * as tf from '@tensorflow/tfjs';
import {wordsAreExact} from '../../src/backends/traits';
import {quantizeQ8, splitQ8} from '../../src/checkpoints/quantized/q8_0';
import {linearGradReference, linearReference} from '../../src/ops/linear/reference';
import {packedLinear} from '../../src/ops/packedLinear';
import {lookUpRows, unpackRows} from '../../src/ops/unpackRows';
import type {Array64, Arrays} from '../support/arrays';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

/** Random rows [out, width], packed, and what they stand for. */
function packed(seed: number, out: number, width: number) {
  const blocks = quantizeQ8(Float32Array.from(normal(seededRandom(seed), [out, width]).values));
  const {scales, integers} = splitQ8(blocks);
  const perWord = wordsAreExact() ? 4 : 2;
  const words = Int32Array.from({length: integers.length / perWord}, (_, i) => {
    const bytes = Array.from({length: perWord}, (_, k) => (integers[perWord * i + k] & 255) << (8 * k));
    return bytes.reduce((a, b) => a | b, 0);
  });
  const values = Float64Array.from(integers, (integer, i) => integer * scales[i >> 5]);
  return {
    rows: {shape: [out, width], values} satisfies Array64,
    words: () => tf.tensor2d(words, [out, width / perWord], 'int32'),
    scales: () => tf.tensor2d(scales, [out, width / 32]),
  };
}

const cases = [
  {lead: [1], out: 1, width: 32, hasBias: false},
  {lead: [1], out: 70, width: 96, hasBias: true},
  {lead: [3], out: 5, width: 288, hasBias: false},
  {lead: [2, 4], out: 9, width: 64, hasBias: true}, // the most rows that any backend takes unpacked
  {lead: [19], out: 33, width: 160, hasBias: true},
  {lead: [2], out: 1100, width: 160, hasBias: false},
];

describe('packedLinear', () => {
  for (const {lead, out, width, hasBias} of cases) {
    it(`[${lead},${width}] by [${out},${width}]${hasBias ? ' with a bias' : ''} and its gradient`, async () => {
      const random = seededRandom(out + width);
      const {rows, words, scales} = packed(out, out, width);
      const x = normal(random, [...lead, width]);
      const dy = normal(random, [...lead, out]);
      const bias = hasBias ? normal(random, [out]) : undefined;
      const count = lead.reduce((a, b) => a * b);
      const inputs = {x: {shape: [count, width], values: x.values}, kernel: rows, ...(bias && {bias})};
      const y = {shape: [...lead, out], values: linearReference(inputs, true).values};
      const slopes = linearGradReference(inputs, true, {shape: [count, out], values: dy.values});
      const expected: Arrays = {
        y,
        dx: {shape: x.shape, values: slopes.x.values},
        ...(bias && {dBias: slopes.bias!}),
      };
      const actual = tf.tidy(() => {
        const args = {words: words(), scales: scales()};
        const run = (x: tf.Tensor, bias?: tf.Tensor) => packedLinear({x, ...args, ...(bias && {bias})});
        const given = [x, ...(bias ? [bias] : [])].map(toTensor);
        const [dx, dBias] = tf.grads((...given: tf.Tensor[]) => run(given[0], given[1]))(given, toTensor(dy));
        return {y: run(given[0], given[1]), dx, ...(dBias && {dBias})};
      });
      expect(mismatches(await readAndDispose(actual), expected, backendSettings().output)).toEqual([]);
    });
  }

  it('gives the same bits each time, and those of each row alone', async () => {
    const {words, scales} = packed(4, 300, 128);
    const x = normal(seededRandom(3), [3, 128]);
    const [all, again, one] = [
      [0, 3],
      [0, 3],
      [1, 1],
    ].map(([from, count]) =>
      tf.tidy(() => packedLinear({x: toTensor(x).slice([from, 0], [count, -1]), words: words(), scales: scales()})),
    );
    const read = await readAndDispose({all, again, one});
    expect(read['again']).toEqual(read['all']);
    expect(read['one'].values).toEqual(read['all'].values.slice(300, 600));
  });
});

describe('unpackRows', () => {
  it('gives exactly what the rows stand for, of any shape', async () => {
    const {rows, words, scales} = packed(9, 6, 96);
    const actual = tf.tidy(() => {
      const args = {words: words(), scales: scales()};
      return {
        flat: unpackRows(args),
        deep: unpackRows({words: args.words.reshape([2, 3, -1]), scales: args.scales.reshape([2, 3, 3])}),
      };
    });
    const {flat, deep} = await readAndDispose(actual);
    expect(flat).toEqual({shape: [6, 96], values: Float64Array.from(rows.values, Math.fround)});
    expect(deep).toEqual({shape: [2, 3, 96], values: flat.values});
  });

  it('looks rows up, and knows of no others', async () => {
    const {rows, words, scales} = packed(9, 6, 96);
    const look = (ids: number[]) => () =>
      lookUpRows({words: words(), scales: scales(), ids: tf.tensor2d(ids, [1, ids.length], 'int32')});
    const {found} = await readAndDispose({found: tf.tidy(look([5, 0, 5]))});
    const row = (id: number) => Array.from(rows.values.subarray(96 * id, 96 * (id + 1)), Math.fround);
    expect(found.shape).toEqual([1, 3, 96]);
    expect([...found.values]).toEqual([5, 0, 5].flatMap(row));
    for (const id of [-1, 6]) {
      if (backendSettings().refusesValues) expect(() => tf.tidy(look([id]))).toThrowError(/lookUpRows: ids/);
      else
        expect(
          (await readAndDispose({none: tf.tidy(look([id]))}))['none'].values.every((value) => value === 0),
        ).toBeTrue();
    }
  });

  it('names what does not fit', () => {
    tf.tidy(() => {
      const scales = tf.ones([2, 3]);
      const wrong = () => unpackRows({words: tf.zeros([2, 23], 'int32'), scales});
      expect(wrong).toThrowError(
        /unpackRows: words must have 8 or 16 columns for each one of scales, \[2,3\], but has \[2,23\]/,
      );
      const x = tf.ones([1, 64]);
      const words = tf.zeros([2, wordsAreExact() ? 24 : 48], 'int32');
      expect(() => packedLinear({x, words, scales})).toThrowError(
        /x must have 96 columns, as the rows have, but has shape \[1,64\]/,
      );
    });
  });
});
