/**
 * How weights start (the paper, section 3.6, and its code): ranges and moments of the random ones over a large layer, exact values
 * of the others, and what a seed fixes. A bound on a moment is five standard errors.
 */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import {LanguageHead, TokenEmbedding} from '../../src/layers/tokenEmbedding';
import type {MambaLayerArgs} from '../../src/layers/mamba';
import type {Array64, Arrays} from '../support/arrays';
import {relativeError} from '../support/closeness';
import {backendSettings} from '../support/settings';
import {softplus} from '../../src/ops/scalar';
import {built, readWeights, recurrentLayers} from './layerUnderTest';

const dModel = 96;

async function weightsWith(args: MambaLayerArgs, make: (args: MambaLayerArgs) => tf.layers.Layer = layers.mamba) {
  const layer = built(make(args), dModel);
  const weights = await readWeights(layer);
  layer.dispose();
  return weights;
}

function moments(values: Float64Array): {mean: number; variance: number} {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return {mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length};
}

/** Expects values that fill [low, high] evenly, up to its ends. */
function expectUniform(name: string, values: Float64Array, low: number, high: number): void {
  const width = high - low;
  const n = values.length;
  const slack = width * (1e-5 + 20 / n);
  const min = values.reduce((a, b) => Math.min(a, b));
  const max = values.reduce((a, b) => Math.max(a, b));
  expect(min)
    .withContext(`${name}, smallest`)
    .toBeGreaterThanOrEqual(low - width * 1e-5);
  expect(min)
    .withContext(`${name}, smallest`)
    .toBeLessThan(low + slack);
  expect(max)
    .withContext(`${name}, largest`)
    .toBeLessThanOrEqual(high + width * 1e-5);
  expect(max)
    .withContext(`${name}, largest`)
    .toBeGreaterThan(high - slack);
  const {mean, variance} = moments(values);
  expect(Math.abs(mean - (low + high) / 2))
    .withContext(`${name}, mean`)
    .toBeLessThan((5 * width) / Math.sqrt(12 * n));
  expect(Math.abs(variance - width ** 2 / 12))
    .withContext(`${name}, variance`)
    .toBeLessThan((5 * width ** 2) / Math.sqrt(180 * n));
}

/** U(±1/√fanIn) */
function expectFanIn(name: string, {values}: Array64, fanIn: number): void {
  expectUniform(name, values, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn));
}

function expectAll({values}: Array64, expected: (index: number) => number, tolerance = 0): void {
  const worst = values.reduce((max, x, i) => Math.max(max, Math.abs(x - expected(i))), 0);
  expect(worst).toBeLessThanOrEqual(tolerance);
}

/** The step sizes that a bias stands for. */
const stepSizes = ({values}: Array64) => values.map((bias) => softplus(bias));

function correlation(a: Float64Array, b: Float64Array): number {
  const n = Math.min(a.length, b.length);
  const [x, y] = [a.subarray(0, n), b.subarray(0, n)];
  const [mx, my] = [moments(x), moments(y)];
  const covariance = x.reduce((sum, value, i) => sum + (value - mx.mean) * (y[i] - my.mean), 0) / n;
  return covariance / Math.sqrt(mx.variance * my.variance);
}

/** The weights that are drawn. */
const random = [
  'inProj/kernel',
  'conv/weight',
  'conv/bias',
  'xProj/kernel',
  'dtProj/kernel',
  'dtProj/bias',
  'outProj/kernel',
];
const drawn = (weights: Arrays) => random.map((name) => ({name, values: weights[name].values}));

describe('the start of a Mamba layer', () => {
  it('has linear and convolution weights evenly within ±1/√fan-in', async () => {
    const weights = await weightsWith({dConv: 3, seed: 1});
    expectFanIn('inProj/kernel', weights['inProj/kernel'], dModel);
    expectFanIn('conv/weight', weights['conv/weight'], 3);
    expectFanIn('conv/bias', weights['conv/bias'], 3);
    expectFanIn('xProj/kernel', weights['xProj/kernel'], 2 * dModel);
    expectFanIn('outProj/kernel', weights['outProj/kernel'], 2 * dModel);
  });

  it('has A = −(1 … N) in every channel, D = 1, and no bias in the projections', async () => {
    const weights = await weightsWith({dState: 7, useBias: true});
    expect(weights.ALog.shape).toEqual([2 * dModel, 7]);
    expectAll(weights.ALog, (i) => Math.log((i % 7) + 1), backendSettings().output);
    expectAll(weights.D, () => 1);
    expectAll(weights['inProj/bias'], () => 0);
    expectAll(weights['outProj/bias'], () => 0);
  });

  it('has a step size rank of dModel / 16, rounded up', async () => {
    expect((await weightsWith({}))['dtProj/kernel'].shape).toEqual([6, 2 * dModel]);
    const layer = built(layers.mamba(), 17);
    expect(layer.mixerConfig.dtRank).toBe(2);
    layer.dispose();
  });

  it('has a projection to the step size evenly within ±dtScale/√dtRank', async () => {
    for (const [dtScale, dtRank] of [
      [1, 16],
      [2.5, 9],
    ]) {
      const {values} = (await weightsWith({dtScale, dtRank, seed: 2}))['dtProj/kernel'];
      expectUniform('dtProj/kernel', values, -dtScale / Math.sqrt(dtRank), dtScale / Math.sqrt(dtRank));
    }
  });

  it('has all of that projection equal to dtScale/√dtRank with dtInit constant', async () => {
    const weights = await weightsWith({dtInit: 'constant', dtScale: 3, dtRank: 4});
    expectAll(weights['dtProj/kernel'], () => 1.5);
  });

  for (const [dtMin, dtMax] of [
    [0.001, 0.1],
    [0.01, 0.02],
  ]) {
    it(`has step sizes evenly in the logarithm between ${dtMin} and ${dtMax}`, async () => {
      const bias = (await weightsWith({dtMin, dtMax, expand: 20, seed: 3}))['dtProj/bias'];
      expectUniform('ln dt', stepSizes(bias).map(Math.log), Math.log(dtMin), Math.log(dtMax));
    });
  }

  it('has step sizes within [0.001, 0.1] by default', async () => {
    const dt = stepSizes((await weightsWith({expand: 20, seed: 3}))['dtProj/bias']);
    expectUniform('ln dt', dt.map(Math.log), Math.log(0.001), Math.log(0.1));
  });

  it('has no step size below dtInitFloor', async () => {
    const dtInitFloor = 0.02;
    const dt = stepSizes((await weightsWith({dtInitFloor, expand: 20, seed: 3}))['dtProj/bias']);
    const atFloor = dt.filter((value) => Math.abs(value / dtInitFloor - 1) < 1e-4).length / dt.length;
    const share = Math.log(dtInitFloor / 0.001) / Math.log(0.1 / 0.001);
    expect(dt.every((value) => value > dtInitFloor * (1 - 1e-4))).toBeTrue();
    expect(Math.abs(atFloor - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / dt.length));
  });
});

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`a seed of ${kind}`, () => {
    const prefix = kind === 'Mamba' ? '' : 'mixer/';
    const drawnWith = async (args: MambaLayerArgs) => {
      const weights = await weightsWith(args, make);
      return drawn(Object.fromEntries(random.map((name) => [name, weights[prefix + name]])));
    };

    it('fixes the weights', async () => {
      expect(await weightsWith({seed: 5}, make)).toEqual(await weightsWith({seed: 5}, make));
    });

    it('of 0 is a seed too', async () => {
      expect(await weightsWith({seed: 0}, make)).toEqual(await weightsWith({seed: 0}, make));
    });

    for (const [difference, args] of Object.entries({
      'another seed': {seed: 6},
      'the other direction': {seed: 5, goBackwards: true},
      'no seed': {},
    })) {
      it(`gives weights of which ${difference} gives none`, async () => {
        const one = await drawnWith({seed: 5});
        const other = await drawnWith(args);
        one.forEach(({name, values}, i) => {
          const n = values.length;
          expect(Math.abs(correlation(values, other[i].values)))
            .withContext(name)
            .toBeLessThan(5 / Math.sqrt(n));
        });
      });
    }

    it('that is not given makes every layer another', async () => {
      const [one, other] = [await drawnWith({}), await drawnWith({})];
      // Not by toEqual, which lists every difference and takes seconds to do so.
      one.forEach(({name, values}, i) => {
        expect(relativeError(values, other[i].values)).withContext(name).toBeGreaterThan(0);
      });
    });

    it('gives no two weights that go together', async () => {
      const weights = await drawnWith({seed: 5});
      weights.forEach((a, i) =>
        weights.slice(i + 1).forEach((b) => {
          const n = Math.min(a.values.length, b.values.length);
          expect(Math.abs(correlation(a.values, b.values)))
            .withContext(`${a.name} and ${b.name}`)
            .toBeLessThan(5 / Math.sqrt(n));
        }),
      );
    });
  });
}

describe('the start of', () => {
  it('a block has a norm of ones, and the mixer of the Mamba layer', async () => {
    const {'norm/weight': norm, ...mixer} = await weightsWith({seed: 7}, layers.mambaBlock);
    expectAll(norm, () => 1);
    const alone = await weightsWith({seed: 7});
    expect(mixer).toEqual(Object.fromEntries(Object.entries(alone).map(([name, w]) => [`mixer/${name}`, w])));
  });

  it('RMSNormalization has weights of one', async () => {
    expectAll((await weightsWith({}, () => layers.rmsNormalization())).weight, () => 1);
  });

  it('CausalConv1D is even within ±1/√kernelSize', async () => {
    const {weight, bias} = await weightsWith({}, () => layers.causalConv1d({kernelSize: 4}));
    expectFanIn('weight', weight, 4);
    expectFanIn('bias', bias, 4);
  });

  it('the embedding is normal with standard deviation 0.02, and seeded', async () => {
    const start = async (seed?: number) => {
      const layer = new TokenEmbedding({vocabSize: 300, dModel: 32, seed});
      layer.apply(tf.input({shape: [null]}));
      const {weight} = await readWeights(layer);
      layer.dispose();
      return weight;
    };
    const {values} = await start(8);
    const {mean, variance} = moments(values);
    const n = values.length;
    expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(n));
    expect(Math.abs(variance - 0.0004)).toBeLessThan(5 * 0.0004 * Math.sqrt(2 / n));
    const within = values.filter((x) => Math.abs(x) < 0.02).length / n;
    expect(Math.abs(within - 0.6827)).toBeLessThan(5 * Math.sqrt((0.6827 * 0.3173) / n));
    expect((await start(8)).values).toEqual(values);
    expect(Math.abs(correlation((await start(9)).values, values))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(correlation((await start()).values, values))).toBeLessThan(5 / Math.sqrt(n));
  });

  it('a head of its own is even within ±1/√dModel', async () => {
    const head = () => new LanguageHead({vocabSize: 50, dModel, seed: 10});
    expectFanIn('kernel', (await weightsWith({}, head)).kernel, dModel);
  });
});
