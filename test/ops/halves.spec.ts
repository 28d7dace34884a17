/** Products by rows of bfloat16 and look-ups in them, natively, against the float64 product by what the rows stand for. */
import * as tf from '@tensorflow/tfjs';
import {halfLinear, lookUpHalves, unpackHalves} from '../../src/ops/halves';
import {linearGradReference, linearReference} from '../../src/ops/linear/reference';
import type {Array64} from '../support/arrays';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

/** Random rows [out, width] of bfloat16, by cutting floats, and their words. */
function halves(out: number, width: number): {rows: Array64; words: tf.Tensor2D} {
  const floats = Float32Array.from(normal(seededRandom(out + width), [out, width]).values);
  const upper = new Uint16Array(floats.buffer).filter((_, i) => i % 2 === 1);
  const values = Float64Array.from(new Float32Array(Uint32Array.from(upper, (half) => half * 65536).buffer));
  return {
    rows: {shape: [out, width], values},
    words: tf.tensor2d(new Int32Array(upper.buffer), [out, width / 2], 'int32'),
  };
}

describe('rows of bfloat16', () => {
  for (const [lead, out, width, hasBias] of [
    [[1], 1, 2, false],
    [[1], 70, 46, true],
    [[3], 33, 130, false],
    [[2, 4], 9, 64, true],
    [[2], 1100, 98, true],
  ] as [number[], number, number, boolean][]) {
    it(`[${lead},${width}] by [${out},${width}] and its gradient`, async () => {
      const {rows, words} = halves(out, width);
      const random = seededRandom(out);
      const count = lead.reduce((a, b) => a * b);
      const x = normal(random, [...lead, width]);
      const dy = normal(random, [...lead, out]);
      const bias = hasBias ? normal(random, [out]) : undefined;
      const inputs = {x: {shape: [count, width], values: x.values}, kernel: rows, bias};
      const slopes = linearGradReference(inputs, true, {shape: [count, out], values: dy.values});
      const expected = {
        y: {shape: [...lead, out], values: linearReference(inputs, true).values},
        dx: {shape: x.shape, values: slopes.x.values},
        ...(bias && {dBias: slopes.bias!}),
      };
      const given = [x, ...(bias ? [bias] : [])].map(toTensor);
      const run = (...args: tf.Tensor[]) => halfLinear({x: args[0], words, ...(bias && {bias: args[1]})});
      const [dx, dBias] = tf.grads(run)(given, toTensor(dy));
      const actual = await readAndDispose({y: run(...given), dx, ...(bias && {dBias})});
      expect(mismatches(actual, expected, backendSettings().output)).toEqual([]);
    });
  }

  it('come as the floats that they stand for, all or some', async () => {
    const {rows, words} = halves(5, 34);
    const looked = lookUpHalves({words, ids: tf.tensor2d([[4, 0]], [1, 2], 'int32')});
    const {all, some} = await readAndDispose({all: unpackHalves({words}), some: looked});
    expect(Array.from(all.values)).toEqual(Array.from(rows.values));
    expect(some.shape).toEqual([1, 2, 34]);
    expect(Array.from(some.values)).toEqual([...rows.values.slice(136), ...rows.values.slice(0, 34)]);
  });

  it('name the argument that is wrong', () => {
    const {words} = halves(5, 34);
    expect(() => halfLinear({x: tf.ones([1, 33]), words})).toThrowError(/^halfLinear: x must have .*34.*33/);
    expect(() => halfLinear({x: tf.ones([1, 34]), words, bias: tf.ones([4])})).toThrowError(/^halfLinear: bias must/);
    expect(() => lookUpHalves({words, ids: tf.tensor1d([5], 'int32')})).toThrowError(/^lookUpHalves: ids/);
  });
});
