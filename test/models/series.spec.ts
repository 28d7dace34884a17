/** Series with classes and the weather are read as their files have them, batches are what they should be, and the yardsticks right. */
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {fitModel} from '../../models/support/fit';
import {loadLayers, saveLayers} from '../../models/support/layersFiles';
import {spread} from '../../models/support/spread';
import {accuracy, seriesBatch, seriesBatches} from '../../models/vowels/batches';
import {dtw, nearest} from '../../models/vowels/dtw';
import {kinds, seriesModel} from '../../models/vowels/models';
import {parseSeries, scaled, scaleOf} from '../../models/vowels/series';
import {errorsOf, modelErrors, persistence, seasonalNaive} from '../../models/weather/evaluate';
import {HORIZON, UNIT, weatherModel} from '../../models/weather/models';
import {FEATURES, hourAt, parseWeather, trainingEnd} from '../../models/weather/table';
import {loss, weatherBatch, weatherWindows} from '../../models/weather/windows';
import {drawNormal} from '../../src/draw';

const read = async (path: string) => (await readFile(new URL(`../../models/${path}`, import.meta.url))).toString();

describe('series with classes', () => {
  it('are read from the format of the archives', async () => {
    const series = parseSeries(await read('vowels/samples/JapaneseVowels_TEST.txt'), 'sample');
    expect(series.length).toBe(27);
    expect(series.map(({label}) => label).sort()).toEqual(Array.from({length: 27}, (_, i) => Math.floor(i / 3)));
    expect(series.every(({channels}) => channels.length === 12)).toBeTrue();
    expect(series[0].channels[0].length).toBe(19);
    expect(series[0].channels[1][0]).toBeCloseTo(0.024848, 6);
    const good = '@classLabel true a b\n@data\n1,2:3,4:a\n';
    const cases: Array<[string, RegExp]> = [
      ['1,2:a\n', /^x: expected a .ts file with @classLabel and @data$/],
      [good.replace('4:a', '4:c'), /^x: line 3 is no series of a class that @classLabel names$/],
      [good.replace('3,4', '3'), /line 3/],
      [good.replace('2:', '?:'), /line 3/],
    ];
    for (const [text, message] of cases) expect(() => parseSeries(text, 'x')).toThrowError(message);
    const scale = scaleOf([1, 3, 5, 7]);
    expect(scale).toEqual({mean: 4, deviation: Math.sqrt(5)});
    const [{channels}] = scaled([{channels: [Float32Array.of(4, 14)], label: 0}], [scale]);
    expect([...channels[0]]).toEqual([0, Math.fround(10 / Math.sqrt(5))]);
  });

  it('all come once before any comes again, followed by zeros', async () => {
    const series = [3, 1, 2, 2, 1].map((length, i) => ({label: i, channels: [new Float32Array(length).fill(i + 1)]}));
    const {xs, ys} = seriesBatch(series.slice(0, 2));
    expect(await xs.array()).toEqual([[[1], [1], [1]], [[2], [0], [0]]]);
    expect(await ys.array()).toEqual([0, 1]);
    tf.dispose([xs, ys]);
    const iterator = await seriesBatches(series, {batchSize: 2, seed: 1}).iterator();
    const labels: number[] = [];
    for (let i = 0; i < 6; i++) {
      const batch = (await iterator.next()).value;
      labels.push(...(await batch.ys.data()));
      tf.dispose([batch.xs, batch.ys]);
    }
    const [first, second] = [labels.slice(0, 5), labels.slice(5)];
    expect([first, second].map((round) => [...round].sort())).toEqual([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]);
    expect(first).not.toEqual(second);
  }); // prettier-ignore

  it('are warped as the definition says', () => {
    const of = (...values: number[]) => [Float32Array.from(values)];
    expect(dtw(of(0, 1), of(0, 0, 1, 1))).toBe(0);
    expect(dtw(of(0, 2), of(1))).toBe(2);
    expect(dtw([Float32Array.of(0), Float32Array.of(1)], [Float32Array.of(3), Float32Array.of(5)])).toBe(25);
    const [a, b] = [drawNormal(6, 1, 1), drawNormal(5, 1, 2)];
    const cost = (i: number, j: number): number => {
      const difference = (a[i] - b[j]) ** 2;
      const ways = [[i - 1, j], [i, j - 1], [i - 1, j - 1]].filter(([x, y]) => x >= 0 && y >= 0); // prettier-ignore
      return difference + (ways.length > 0 ? Math.min(...ways.map(([x, y]) => cost(x, y))) : 0);
    };
    expect(dtw([a], [b])).toBeCloseTo(cost(5, 4), 10);
    expect(dtw([a], [b], cost(5, 4) / 100)).toBe(Infinity);
    const known = [of(5, 5, 5), of(0, 1, 0), of(1, 0, 1)].map((channels, label) => ({channels, label}));
    expect(nearest({channels: of(0, 0, 1, 1, 0), label: -1}, known)).toBe(1);
  });

  it('are classified without regard to what follows them, by models of one size', async () => {
    // TensorFlow.js says of a GRU of 26 units that its start may take long.
    spyOn(console, 'warn')
      .and.callThrough()
      .withArgs(jasmine.stringMatching(/^Orthogonal initializer/))
      .and.stub();
    for (const set of ['vowels', 'acsf1'] as const) {
      const [mamba, ...others] = kinds.map((kind) => seriesModel(set, kind, 1).countParams());
      for (const count of others)
        expect(Math.abs(count / mamba - 1))
          .withContext(set)
          .toBeLessThan(0.03);
    }
    const [short, long] = [7, 12].map((length, label) => {
      return {label, channels: Array.from({length: 12}, (_, i) => drawNormal(length, 1, i + length))};
    });
    for (const kind of kinds) {
      const model = seriesModel('vowels', kind, 2);
      const [alone, beside] = [[short], [long, short]].map((rows) => {
        const {xs} = seriesBatch(rows);
        return (model.predict(xs) as tf.Tensor2D).arraySync().at(-1)!;
      });
      alone.forEach((value, i) => expect(value).withContext(kind).toBeCloseTo(beside[i], 4));
      expect(await accuracy(model, [long, short], 1)).toBe(await accuracy(model, [long, short], 2));
    }
  });

  it('are learned within the steps, and what was learned is kept as its mean', async () => {
    spyOn(console, 'log');
    const series = Array.from({length: 24}, (_, i) => {
      return {
        label: i % 2,
        channels: Array.from({length: 12}, (_row, c) => drawNormal(5, 0.3, 50 * i + c).map((x) => x + (i % 2))),
      };
    });
    const model = seriesModel('vowels', 'mamba', 1);
    const looks: number[] = [];
    const before = await accuracy(model, series);
    const tensors = tf.memory().numTensors;
    const fitted = await fitModel(model, seriesBatches(series, {batchSize: 8, seed: 1}), {
      ...{name: 'test', steps: 25, peak: 0.02, warmupSteps: 2, weightDecay: 0, every: 5, emaDecay: 0.8},
      look: async ({steps}) => {
        looks.push(steps);
        return {accuracy: await accuracy(model, series)};
      },
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(looks).toEqual([25]);
    const after = await accuracy(model, series);
    expect(after).toBeGreaterThan(Math.max(before, 0.95));
    expect(fitted.curve).toEqual([{steps: 25, seconds: jasmine.any(Number) as never, accuracy: after} as never]);

    const folder = await mkdtemp(join(tmpdir(), 'layers-'));
    await saveLayers(model, folder);
    const loaded = await loadLayers(folder);
    const {xs} = seriesBatch(series);
    expect((loaded.predict(xs) as tf.Tensor).arraySync()).toEqual((model.predict(xs) as tf.Tensor).arraySync());
    await rm(folder, {recursive: true});
  });

  it('give several results, whose deviation is that of a sample', () => {
    expect(spread([1, 2, 3, 6])).toEqual({mean: 3, deviation: Math.sqrt(14 / 3)});
    expect(spread([5])).toEqual({mean: 5, deviation: 0});
  });
});

describe('the weather', () => {
  const header = 'origin,temp,dewp,humid,wind_dir,wind_speed,precip,pressure,visib,time_hour';
  const table = [
    header,
    'JFK,32,23,50,90,10,0,1010,10,2013-01-01T06:00:00Z',
    'LGA,50,41,70,180,20,0.5,1024,9,2013-01-01T06:00:00Z',
    'JFK,41,NA,50,NA,10,0,NA,10,2013-01-01T09:00:00Z',
  ].join('\n');

  it('is without gaps: what is missing is as it was last', () => {
    const [jfk, lga] = parseWeather(table, 'x');
    expect([jfk.station, lga.station]).toEqual(['JFK', 'LGA']);
    expect([...jfk.temperature]).toEqual([0, 0, 0, 5]);
    const row = (t: number) => jfk.features.subarray(t * FEATURES, (t + 1) * FEATURES);
    const [dew, east, pressure] = [1, 3, 6];
    expect(row(3)[dew]).toBeCloseTo((-5 - 5) / 10, 5);
    expect(row(3)[east]).toBeCloseTo(1, 5);
    expect(row(3)[pressure]).toBeCloseTo(-1, 5);
    expect(row(0)[8]).toBeCloseTo(1, 5); // six o'clock: a quarter of the day
    expect(lga.features[3]).toBeCloseTo(0, 5);
    expect(hourAt(jfk, Date.UTC(2013, 0, 1, 7, 30))).toBe(2);
    expect(() => parseWeather(table.replace('visib', 'view'), 'x')).toThrowError('x: there is no column visib');
  });

  it('is asked for as changes, of which training sees none of the test', async () => {
    const hours = 24 * 30;
    const temperature = Float32Array.from({length: hours}, (_, t) => t % 50);
    const start = trainingEnd - 24 * 20 * 3600e3;
    const weather = {
      station: 'x',
      start,
      temperature,
      features: new Float32Array(hours * FEATURES).map((_, i) => Math.floor(i / FEATURES)),
    };
    const {xs, ys} = weatherBatch([{weather, first: 3}], 4);
    expect((await xs.array())[0].map(([first]) => first)).toEqual([3, 4, 5, 6]);
    expect((await ys.array())[0][1][9]).toBeCloseTo(10 / UNIT, 5);
    tf.dispose([xs, ys]);
    const iterator = await weatherWindows([weather], {batchSize: 64, length: 400, seed: 1}).iterator();
    const seen = Float32Array.from((await iterator.next()).value.xs.dataSync());
    const [first, last] = [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))];
    expect(last + HORIZON).toBeLessThan(24 * 20);
    expect(first).toBeLessThan(5);
    // As if the mean of all but the first day were 1: a loss that took it in would be 25/26.
    const changes = tf.zeros([1, 26, HORIZON]);
    const forecast = tf.concat([tf.zeros([1, 24, HORIZON]), tf.ones([1, 2, HORIZON])], 1);
    expect(loss(changes, forecast).dataSync()[0]).toBeCloseTo(1, 6);
  });

  it('has errors that the rules make by hand, and a stream forecasts as a pass does', async () => {
    const [weather] = parseWeather(await read('weather/samples/weather.csv'), 'sample');
    expect(weather.temperature.length).toBe(768);
    const {temperature} = weather;
    const first = hourAt(weather, trainingEnd);
    const places = Array.from({length: 768 - HORIZON - first}, (_, i) => first + i);
    const mean = (error: (t: number) => number) =>
      places.reduce((sum, t) => sum + Math.abs(error(t)), 0) / places.length;
    expect(errorsOf(persistence, [weather]).ahead[5]).toBeCloseTo(
      mean((t) => temperature[t + 6] - temperature[t]),
      6,
    );
    expect(errorsOf(seasonalNaive, [weather]).ahead[5]).toBeCloseTo(
      mean((t) => temperature[t + 6] - temperature[t - 18]),
      6,
    );

    const model = weatherModel('mamba', {seed: 1});
    const zero = model.layers.at(-1)!;
    const kept = zero.getWeights().map((weight) => weight.clone());
    zero.setWeights(kept.map((weight) => tf.zerosLike(weight)));
    expect((await modelErrors(model, [weather])).mean).toBeCloseTo(errorsOf(persistence, [weather]).mean, 4);
    zero.setWeights(kept);

    const {xs} = weatherBatch([{weather, first: 10}], 6);
    const whole = (model.predict(xs) as tf.Tensor3D).arraySync()[0];
    const stream = weatherModel('mamba', {seed: 2, streaming: true});
    stream.setWeights(model.getWeights());
    whole.forEach((expected, t) => {
      const [[given]] = (stream.predict(xs.slice([0, t, 0], [1, 1, -1])) as tf.Tensor3D).arraySync();
      given.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 4));
    });
  });
});
