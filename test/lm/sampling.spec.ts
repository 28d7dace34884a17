/** How a token is chosen from logits: against plain definitions of each option, on small and large vocabularies. */
import * as fc from 'fast-check';
import type {SamplingOptions} from '../../src/lm/sampling';
import {checkSampling, logSumExp, sampleToken} from '../../src/lm/sampling';
import {seededRandom} from '../support/arrays';
import {randomSeed} from '../support/settings';

/** The distribution after all options, straight from their definitions: sort, cut, renormalise. */
function definition(logits: readonly number[], options: SamplingOptions, seen: ReadonlySet<number>): number[] {
  const {temperature = 1, topK = logits.length, topP = 1, minP = 0, repetitionPenalty = 1} = options;
  const scores = logits.map((x, id) => {
    if (!seen.has(id)) return x;
    return x > 0 ? x / repetitionPenalty : x * repetitionPenalty;
  });
  const largest = Math.max(...scores);
  let probabilities = normalized(scores.map((x) => Math.exp((x - largest) / temperature)));
  const order = probabilities.map((_, id) => id).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const cut = (kept: Set<number>) => {
    probabilities = normalized(probabilities.map((p, id) => (kept.has(id) ? p : 0)));
  };
  cut(new Set(order.slice(0, topK)));
  if (topP < 1) {
    let sum = 0;
    const count = order.findIndex((id) => (sum += probabilities[id]) >= topP) + 1;
    cut(new Set(order.slice(0, count || order.length)));
  }
  const most = Math.max(...probabilities);
  cut(new Set(order.filter((id) => probabilities[id] >= minP * most && probabilities[id] > 0)));
  return probabilities;
}

function normalized(weights: number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** The probability of every token, by sweeping the random number over [0, 1). */
function swept(
  logits: readonly number[],
  options: SamplingOptions,
  seen: ReadonlySet<number>,
  steps: number,
): number[] {
  const counts = logits.map(() => 0);
  for (let i = 0; i < steps; i++) {
    counts[sampleToken(Float32Array.from(logits), options, seen, () => (i + 0.5) / steps)]++;
  }
  return counts.map((count) => count / steps);
}

const none: ReadonlySet<number> = new Set();

describe('sampleToken', () => {
  it('has the distribution that the options define', () => {
    const logit = fc.integer({min: -40, max: 40}).map((x) => x / 8);
    const options = fc.record(
      {
        temperature: fc.constantFrom(0.3, 1, 2),
        topK: fc.integer({min: 1, max: 14}),
        topP: fc.constantFrom(0.05, 0.35, 0.81, 0.97, 1),
        minP: fc.constantFrom(0, 0.07, 0.53, 1),
        repetitionPenalty: fc.constantFrom(0.7, 1, 1.6),
      },
      {requiredKeys: []},
    );
    const logits = fc.uniqueArray(logit, {minLength: 1, maxLength: 12});
    fc.assert(
      fc.property(logits, options, fc.uniqueArray(fc.nat(11)), (values, chosen, occurred) => {
        const seen = new Set(occurred.filter((id) => id < values.length));
        const steps = 600;
        const actual = swept(values, chosen, seen, steps);
        const wanted = definition(values, chosen, seen);
        wanted.forEach((p, id) => expect(Math.abs(actual[id] - p)).toBeLessThanOrEqual((values.length + 1) / steps));
      }),
      {seed: randomSeed, numRuns: 100},
    );
  });

  it('is greedy at temperature 0, and then needs no random number', () => {
    const refuse = () => fail('greedy needs no random number') as unknown as number;
    expect(sampleToken(Float32Array.of(1, 3, 2), {temperature: 0, topK: 2}, none, refuse)).toBe(1);
    expect(sampleToken(Float32Array.of(1, 3, 2), {temperature: 0, repetitionPenalty: 2}, new Set([1]), refuse)).toBe(2);
    expect(sampleToken(Float32Array.of(-4, -3), {temperature: 0, repetitionPenalty: 2}, new Set([1]), refuse)).toBe(0);
  });

  it('does not change the logits', () => {
    const logits = Float32Array.of(1, 2, 3);
    sampleToken(logits, {repetitionPenalty: 3, topK: 2}, new Set([0, 1, 2]), () => 0.5);
    expect([...logits]).toEqual([1, 2, 3]);
  });

  it('keeps exactly topK tokens of a large vocabulary, equal ones by their id', () => {
    const random = seededRandom(randomSeed);
    const logits = Float32Array.from({length: 50_280}, () => Math.floor(random() * 30) / 3);
    const sorted = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
    const kept = new Set<number>();
    for (let i = 0; i < 2000; i++) kept.add(sampleToken(logits, {topK: 40}, none, () => (i + 0.5) / 2000));
    expect([...kept].sort((a, b) => a - b)).toEqual(sorted.slice(0, 40).sort((a, b) => a - b));
  });

  it('survives logits of -infinity, and random numbers at the end of their range', () => {
    const logits = Float32Array.of(-Infinity, 0, -Infinity);
    for (const options of [{}, {topK: 2}, {topP: 0.9}, {minP: 0.1}, {temperature: 0}]) {
      expect(sampleToken(logits, options, none, () => 1 - 2 ** -32)).toBe(1);
    }
  });
});

describe('logSumExp', () => {
  it('neither overflows nor loses small values', () => {
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.log(2), 10);
    expect(logSumExp([-1000, -1000])).toBeCloseTo(-1000 + Math.log(2), 10);
  });
});

describe('checkSampling', () => {
  it('names the option that is out of range', () => {
    const wrong: Array<[SamplingOptions, string]> = [
      [{temperature: -1}, 'temperature must be a number of 0 or more, but is -1'],
      [{temperature: NaN}, 'temperature must be a number of 0 or more, but is NaN'],
      [{topK: 0}, 'topK must be a positive integer, but is 0'],
      [{topK: 1.5}, 'topK must be a positive integer, but is 1.5'],
      [{topP: 0}, 'topP must be a number above 0 and up to 1, but is 0'],
      [{topP: 1.1}, 'topP must be a number above 0 and up to 1, but is 1.1'],
      [{minP: 2}, 'minP must be a number from 0 to 1, but is 2'],
      [{repetitionPenalty: 0}, 'repetitionPenalty must be a positive number, but is 0'],
    ];
    for (const [options, message] of wrong) {
      expect(() => checkSampling('generate', options)).toThrowError(`generate: ${message}`);
    }
  });
});
