/** The generator against the published outputs of its reference, and what weights start as. */
import {CHUNK, drawNormal, drawUniform, plainNormal, plainUniform, stateOf} from '../src/draw';
import {normalOf, normalTable} from '../src/normal';
import {Random} from '../src/random';
import {drawerWithSimd} from '../src/simdDraw';

const take4 = <T>(f: (i: number) => T): [T, T, T, T] => [f(0), f(1), f(2), f(3)];
const take = (count: number, draw: () => number) => Array.from({length: count}, draw);

describe('Random', () => {
  it('is xoshiro128** 1.1', () => {
    // The first outputs of the authors' C program from the state {1, 2, 3, 4}; rand_xoshiro tests against the same.
    const random = new Random([1, 2, 3, 4]);
    expect(take(10, () => random.uint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('is seeded by splitmix64', () => {
    // The first two outputs of the authors' splitmix64.c from 1234567: 6457827717110365317, 3203168211198807973.
    const [a, b, c, d] = new Random(1234567).state.map(BigInt);
    expect(a + (b << 32n)).toBe(6457827717110365317n);
    expect(c + (d << 32n)).toBe(3203168211198807973n);
  });

  it('goes on from a saved state', () => {
    const random = new Random(5);
    take(17, () => random.below(1000));
    const state = random.state;
    const next = take(100, () => random.below(1000));
    const again = new Random(JSON.parse(JSON.stringify(state)) as typeof state);
    expect(take(100, () => again.below(1000))).toEqual(next);
  });

  it('draws every number below a bound about equally often, and none beyond', () => {
    const random = new Random(0);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]++;
    expect(counts.length).toBe(7);
    // The standard deviation of each is about 93.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it('refuses a seed or state that it cannot use', () => {
    expect(() => new Random(-1)).toThrowError('random: seed must be a whole number of 0 or more, but is -1');
    expect(() => new Random([0, 0, 0, 0])).toThrowError(
      'random: the state must be four words, not all zero, but is [0,0,0,0]',
    );
  });
});

describe('many numbers at once', () => {
  const moments = (values: Float32Array) => {
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const power = (n: number) => values.reduce((sum, x) => sum + (x - mean) ** n, 0) / values.length;
    return {mean, deviation: Math.sqrt(power(2)), kurtosis: power(4) / power(2) ** 2};
  };
  const count = 100_001;

  it('evenly spread are those of four generators, a word each in turn', () => {
    const state = stateOf(7);
    const generators = take4((lane) => new Random(take4((word) => state[4 * word + lane])));
    const expected = Float32Array.from({length: count}, (_, i) => {
      const place = (generators[i % 4].uint32() >>> 9) + 0.5;
      return -3 + Math.fround(Math.fround(5 / 2 ** 23) * place);
    });
    expect(drawUniform(count, -3, 2, 7)).toEqual(expected);
  });

  it('are the same bits with SIMD and without', () => {
    const state = stateOf(3);
    const uniform = plainUniform(state.slice());
    const simd = drawerWithSimd(state.slice())!;
    for (const some of [CHUNK, CHUNK, 7]) {
      expect(simd.uniform(some, -0.3, 1e-7)).toEqual(uniform(some, -0.3, 1e-7));
    }
    // Enough for some beyond four deviations, where another polynomial begins.
    const normal = plainNormal(state.slice());
    const other = drawerWithSimd(state.slice())!;
    let differing = 0;
    for (let i = 0; i < 50; i++) {
      const [a, b] = [normal(CHUNK, 0.7), other.normal(CHUNK, 0.7)];
      a.forEach((value, k) => (differing += Number(!Object.is(value, b[k]))));
    }
    expect(differing).toBe(0);
  });

  it('of a normal distribution have its moments, and its tails', () => {
    const values = drawNormal(count, 0.5, 7);
    const {mean, deviation, kurtosis} = moments(values);
    // Five standard errors each: σ/√n, σ/√2n, √(24/n).
    expect(Math.abs(mean)).toBeLessThan((5 * 0.5) / Math.sqrt(count));
    expect(Math.abs(deviation - 0.5)).toBeLessThan((5 * 0.5) / Math.sqrt(2 * count));
    expect(Math.abs(kurtosis - 3)).toBeLessThan(5 * Math.sqrt(24 / count));
    // 4.55 % lie beyond two deviations, 0.27 % beyond three.
    const beyond = (bound: number) => values.filter((x) => Math.abs(x) > bound).length;
    expect(Math.abs(beyond(1) - 0.0455 * count)).toBeLessThan(5 * Math.sqrt(0.0455 * count));
    expect(Math.abs(beyond(1.5) - 0.0027 * count)).toBeLessThan(5 * Math.sqrt(0.0027 * count));
  });

  it('of a normal distribution lie beyond each bound as often as they must, on either side', () => {
    const many = 1e7;
    const values = drawNormal(many, 1, 11);
    // erfc(z/√2); from 2.9 on another polynomial is taken.
    const beyond: Array<[bound: number, probability: number]> = [
      [0.25, 0.802587348634],
      [0.5, 0.617075077452],
      [1, 0.317310507863],
      [1.5, 0.133614402538],
      [2, 0.0455002638964],
      [2.5, 0.0124193306516],
      [3, 0.00269979606326],
      [3.442619855899, 0.000576108512392],
      [4, 6.33424836662e-5],
    ];
    for (const [bound, probability] of beyond) {
      for (const sign of [-1, 1]) {
        let count = 0;
        for (const value of values) if (sign * value > bound) count++;
        const [mean, deviation] = [(many * probability) / 2, Math.sqrt((many * probability) / 2)];
        expect(Math.abs(count - mean) / deviation)
          .withContext(`${sign} ${bound}`)
          .toBeLessThan(5);
      }
    }
  });

  it('of a normal distribution lie where that much of it is beyond', () => {
    // 2 · (1 − Φ(z)), by its series and beyond three deviations by its continued fraction, in float64.
    const beyond = (z: number) => {
      const density = Math.sqrt(2 / Math.PI) * Math.exp((-z * z) / 2);
      let [sum, term] = [z, z];
      for (let n = 3; n < 200; n += 2) sum += term *= (z * z) / n;
      let tail = z;
      for (let n = 200; n > 0; n--) tail = z + n / tail;
      return z < 3 ? 1 - density * sum : density / tail;
    };
    const table = normalTable(1);
    const random = new Random(5);
    let worst = 0;
    // Every octave of the share that is beyond, down to the last number: 2^-31 of it.
    for (let octave = 0; octave < 31; octave++) {
      for (let i = 0; i < 300; i++) {
        const share = ((2 ** octave + random.below(2 ** octave)) | 1) >>> 0;
        const z = normalOf(share, table);
        expect(normalOf(share + 2 ** 31, table)).toBe(-z);
        const density = Math.sqrt(2 / Math.PI) * Math.exp((-z * z) / 2);
        worst = Math.max(worst, Math.abs(beyond(z) - share * 2 ** -31) / density);
      }
    }
    // In deviations: float32 has steps of 5e-7 beyond four.
    expect(worst).toBeLessThan(3e-6);
    expect(Math.abs(normalOf(2 ** 31 - 1, table))).toBe(0);
  });

  it('are the same for the same seed, and others for another or for none', () => {
    for (const draw of [(seed?: number) => drawUniform(5, 0, 1, seed), (seed?: number) => drawNormal(5, 1, seed)]) {
      expect(draw(1)).toEqual(draw(1));
      expect(draw(1)).not.toEqual(draw(2));
      expect(draw()).not.toEqual(draw());
    }
  });
});
