/** The likeliest tokens, found on the device: on every backend that has the kernel the same as found in JavaScript. */
import * as tf from '@tensorflow/tfjs';
import {logSumExp, neededTokens, sampleToken, sampleTop} from '../../src/lm/sampling';
import {findsTopLogits, topLogits} from '../../src/ops/topLogits';
import {integer, normal, seededRandom, toTensor} from '../support/arrays';
import {randomSeed} from '../support/settings';

/** The ids of the largest, equal ones by rising id. */
function sorted(logits: Float64Array, count: number): number[] {
  const ids = Array.from(logits, (_, id) => id);
  return ids.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, count);
}

describe('topLogits', () => {
  it('is there on webgpu, up to 64 tokens, and nowhere else', () => {
    expect([1, 64, 65].map(findsTopLogits)).toEqual(
      tf.getBackend() === 'webgpu' ? [true, true, false] : [false, false, false],
    );
  });

  if (process.env['TFJS_MAMBA_BACKEND'] !== 'webgpu') return;

  const random = seededRandom(randomSeed);
  const sizes = [
    [1, 1, 1],
    [1, 1024, 1],
    [2, 1025, 64],
    [1, 50280, 40],
    ...Array.from({length: 12}, () => [integer(random, 1, 4), integer(random, 1, 5000), integer(random, 1, 64)]),
  ];
  for (const [batch, columns, most] of sizes) {
    for (const ties of [false, true]) {
      it(`finds ${most} of ${batch} rows of ${columns}${ties ? ', many of them equal' : ''}`, async () => {
        const logits = normal(random, [batch, columns], 5);
        if (ties) logits.values.forEach((x, i) => (logits.values[i] = Math.round(x)));
        const vocabSize = integer(random, Math.ceil(columns / 2), columns);
        const tensor = toTensor(logits) as tf.Tensor2D;
        const coming = topLogits(tensor, most, vocabSize);
        const rows = await coming.rows;
        expect([...(await coming.likeliest.data())]).toEqual(rows.map(({ids}) => ids[0]));
        coming.dispose();
        tensor.dispose();
        expect(rows.length).toBe(batch);
        rows.forEach((row, b) => {
          const all = logits.values.slice(b * columns, (b + 1) * columns);
          const ids = sorted(all.slice(0, vocabSize), most);
          expect([...row.ids]).toEqual(ids);
          expect([...row.logits]).toEqual(ids.map((id) => all[id]));
          expect(row.logSumExp).toBeCloseTo(logSumExp(all), 4);
        });
      });
    }
  }
});

describe('a token drawn from the likeliest', () => {
  it('is the one drawn from all', () => {
    const random = seededRandom(randomSeed);
    for (let round = 0; round < 300; round++) {
      const logits = Float32Array.from(normal(random, [200], 3).values);
      const options = {
        temperature: round % 5 === 0 ? 0 : 0.5 + random(),
        topK: integer(random, 1, 64),
        ...(round % 2 === 0 && {topP: 0.3 + 0.7 * random()}),
        ...(round % 3 === 0 && {minP: 0.2 * random()}),
      };
      const ids = Int32Array.from(sorted(Float64Array.from(logits), neededTokens(options)!));
      const u = random();
      const fromTop = sampleTop(
        ids,
        Float32Array.from(ids, (id) => logits[id]),
        options,
        () => u,
      );
      expect(fromTop).toBe(sampleToken(logits, options, new Set(), () => u));
    }
  });

  it('is not enough for a repetition penalty, nor without topK', () => {
    expect(neededTokens({})).toBeUndefined();
    expect(neededTokens({topP: 0.9})).toBeUndefined();
    expect(neededTokens({topK: 5, repetitionPenalty: 1.2})).toBeUndefined();
    expect(neededTokens({topK: 5, topP: 0.9})).toBe(5);
    expect(neededTokens({topK: 5, temperature: 0})).toBe(1);
  });
});
