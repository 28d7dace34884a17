/** The training loop: reports, validation, accumulation, memory, arguments. */
import * as tf from '@tensorflow/tfjs';
import {adamW} from '../../src/training/adamW';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import type {BatchDataset} from '../../src/training/data';
import {tokenWindows} from '../../src/training/data';
import type {StepReport} from '../../src/training/options';
import {trainer} from '../../src/training/trainer';
import {backendSettings} from '../support/settings';
import {numbers, regressionData, regressor, smallLM, smallText, squaredError} from './models';
import {fixedData, heldOut, optimizer, schedule, trained, windows} from './runs';

describe('trainer', () => {
  it('trains a language model: the loss falls, and every step is reported', async () => {
    const {reports} = await trained(windows, [{steps: 30}]);
    expect(reports.map(({step}) => step)).toEqual(Array.from({length: 30}, (_, i) => i + 1));
    expect(reports[0].loss).toBeCloseTo(Math.log(7), 1);
    expect(reports[29].loss).toBeLessThan(1.4);
    reports.forEach(({step, learningRate, gradientNorm}) => {
      expect(learningRate).toBe(schedule()(step));
      expect(gradientNorm).toBeGreaterThan(0);
    });
  });

  it('does the same as model.fit', async () => {
    const model = smallLM();
    model.compile({optimizer: optimizer()});
    await model.fitDataset(windows(), {epochs: 1, batchesPerEpoch: 6, verbose: 0});
    expect((await trained(windows, [{steps: 6}])).weights).toEqual(await numbers(model.getWeights()));
  });

  it('reports the loss and gradient norm before the update, and tokens per second', async () => {
    const model = regressor();
    const start = await numbers(model.getWeights());
    const reports: StepReport[] = [];
    await trainer(model, {optimizer: tf.train.sgd(0.1), loss: squaredError, clipNorm: 1e-3}).fit(regressionData(4), {
      steps: 1,
      callbacks: {onStep: (report) => reports.push(report)},
    });
    const [{loss, gradientNorm, learningRate, tokensPerSecond}] = reports;
    const {value} = await (await regressionData(4).iterator()).next();
    const outputs = model.predict(value.xs);
    const after = (await squaredError(value.ys, outputs).data())[0];
    expect(after).toBeLessThan(loss);
    expect(learningRate).toBe(0.1);
    expect(tokensPerSecond).toBeGreaterThan(0);
    // A step of plain gradient descent moves by rate times the norm, here the clipped one.
    const end = await numbers(model.getWeights());
    const moved = Math.hypot(...end.flat().map((x, i) => x - start.flat()[i]));
    expect(gradientNorm).toBeGreaterThan(0.1);
    expect(moved).toBeCloseTo(0.1 * 1e-3, 6);
  });

  it('reports as often as it is asked to, and at the end', async () => {
    const {reports} = await trained(windows, [{steps: 7, reportEvery: 3}]);
    expect(reports.map(({step}) => step)).toEqual([3, 6, 7]);
  });

  it('tells validation loss and perplexity', async () => {
    const model = smallLM();
    const results: {step: number; loss: number; perplexity: number}[] = [];
    const ofModel = trainer(model, {optimizer: optimizer()});
    const before = await ofModel.evaluate(heldOut());
    const {validation} = await ofModel.fit(windows(), {
      steps: 20,
      validation: {dataset: heldOut(), every: 8},
      callbacks: {onValidation: (result) => results.push(result)},
    });
    expect(results.map(({step}) => step)).toEqual([8, 16, 20]);
    results.forEach(({loss, perplexity}) => expect(perplexity).toBe(Math.exp(loss)));
    expect(results[2].loss).toBeLessThan(before.loss);
    expect(validation).toEqual({loss: results[2].loss, perplexity: results[2].perplexity});
    expect(await ofModel.evaluate(heldOut())).toEqual(validation!);
  });

  it('evaluates as one batch, however the rows are batched, and stops where it is told', async () => {
    const ofModel = trainer(smallLM(), {optimizer: optimizer()});
    const text = smallText.slice(0, 100);
    const by = (batchSize: number) => tokenWindows(text, {batchSize, length: 7, order: 'sequential'});
    const {loss} = await ofModel.evaluate(by(100));
    expect((await ofModel.evaluate(by(4))).loss).toBeCloseTo(loss, 5);
    const part = tokenWindows(text.slice(0, 29), {batchSize: 2, length: 7, order: 'sequential'});
    expect((await ofModel.evaluate(by(2), {batches: 2})).loss).toBe((await ofModel.evaluate(part)).loss);
  });

  it('keeps the number of tensors over 50 steps, with accumulation, validation and checkpoints', async () => {
    const model = smallLM();
    const ofModel = trainer(model, {optimizer: optimizer(), gradientAccumulation: 2});
    const counts: number[] = [];
    await ofModel.fit(windows(), {
      steps: 50,
      validation: {dataset: heldOut(), every: 5},
      checkpoint: {target: memoryCheckpoints(), every: 5},
      callbacks: {onCheckpoint: () => counts.push(tf.memory().numTensors)},
    });
    expect(counts.length).toBe(10);
    expect(new Set(counts).size).toBe(1);
  });

  it('leaves no tensor behind but the weights and moments', async () => {
    const model = smallLM();
    const ofModel = optimizer();
    const before = tf.memory().numTensors;
    await trainer(model, {optimizer: ofModel}).fit(windows(), {steps: 2});
    ofModel.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('leaves no tensor behind when a callback throws', async () => {
    const model = smallLM();
    const ofModel = optimizer();
    const before = tf.memory().numTensors;
    const onStep = () => {
      throw new Error('enough');
    };
    await expectAsync(
      trainer(model, {optimizer: ofModel}).fit(windows(), {steps: 2, callbacks: {onStep}}),
    ).toBeRejectedWithError('enough');
    ofModel.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('says so when the loss is no number, and saves nothing then', async () => {
    const target = memoryCheckpoints();
    const ofModel = trainer(regressor(), {optimizer: adamW({learningRate: 0.1}), loss: () => tf.scalar(NaN)});
    await expectAsync(
      ofModel.fit(regressionData(2), {steps: 3, reportEvery: 3, checkpoint: {target, every: 1}}),
    ).toBeRejected();
    expect(await target.load()).toBeUndefined();

    const diverging = trainer(regressor(), {optimizer: tf.train.sgd(1e30), loss: squaredError});
    await expectAsync(diverging.fit(regressionData(2), {steps: 10})).toBeRejectedWithError(
      /^trainer: step \d+ has loss (NaN|Infinity) and gradient norm/,
    );
  });
});

describe('gradient accumulation', () => {
  const rows = [
    {xs: [1, 2, 3, 4], ys: [2, 3, 4, 5]},
    {xs: [6, 0, 1, 2], ys: [-100, -100, -100, 3]},
    {xs: [2, 2, 2, 2], ys: [-100, 1, 0, -100]},
    {xs: [5, 4, 3, 2], ys: [-100, -100, -100, -100]},
  ];
  const batchOf = (some: typeof rows) => ({xs: some.map(({xs}) => xs), ys: some.map(({ys}) => ys)});

  it('is one big batch, however many labels count in each', async () => {
    const whole = await trained(() => fixedData([batchOf(rows), batchOf(rows)]), [{steps: 2}]);
    const split = [batchOf(rows.slice(0, 1)), batchOf(rows.slice(1, 3)), batchOf(rows.slice(3))];
    const parts = await trained(() => fixedData([...split, ...split]), [{steps: 2}], 3);
    expect(parts.reports.length).toBe(2);
    const tolerance = backendSettings().gradient;
    parts.reports.forEach(({loss, gradientNorm}, i) => {
      expect(Math.abs(loss / whole.reports[i].loss - 1)).toBeLessThan(tolerance);
      expect(Math.abs(gradientNorm / whole.reports[i].gradientNorm - 1)).toBeLessThan(tolerance);
    });
    // The moments are sums of gradients: not bent by Adam's division, as the weights are.
    const largest = Math.max(...whole.state.slice(2).flat().map(Math.abs));
    parts.state.slice(2).forEach((values, i) =>
      values.forEach((value, k) => {
        expect(Math.abs(value - whole.state[i + 2][k]) / largest).toBeLessThan(tolerance);
      }),
    );
  });

  it('weighs by rows where a loss is given', async () => {
    const end = async (sizes: number[]) => {
      const model = regressor();
      const {value} = await (await regressionData(6).iterator()).next();
      const xs = tf.split(value.xs as tf.Tensor, sizes);
      const ys = tf.split(value.ys as tf.Tensor, sizes);
      const dataset: BatchDataset = {
        iterator: async () => ({
          next: async () => ({done: false, value: {xs: xs.shift()!, ys: ys.shift()!}}),
        }),
      };
      const options = {optimizer: tf.train.sgd(0.5), loss: squaredError, gradientAccumulation: sizes.length};
      await trainer(model, options).fit(dataset, {steps: 1});
      return (await numbers(model.getWeights())).flat();
    };
    const whole = await end([6]);
    const parts = await end([1, 3, 2]);
    parts.forEach((value, i) => expect(Math.abs(value - whole[i])).toBeLessThan(1e-5));
  });

  it('makes a last step of what is left of the data', async () => {
    const model = smallLM();
    const result = await trainer(model, {optimizer: optimizer(), gradientAccumulation: 2}).fit(
      fixedData([batchOf(rows), batchOf(rows), batchOf(rows)]),
      {steps: 10},
    );
    expect(result.step).toBe(2);
    expect(result.ended).toBe('data');
  });
});

describe('a wrong argument of trainer', () => {
  const good = {optimizer: tf.train.sgd(1)};
  const wrong: [object, string][] = [
    [{}, 'trainer: optimizer must be a tf.Optimizer, such as adamW makes'],
    [{optimizer: 'adamw'}, 'trainer: optimizer must be a tf.Optimizer, such as adamW makes'],
    [{...good, clipNorm: 0}, 'trainer: clipNorm must be a positive number, but is 0'],
    [{...good, gradientAccumulation: 0}, 'trainer: gradientAccumulation must be a positive whole number, but is 0'],
    [{...good, count: () => tf.scalar(1)}, 'trainer: count belongs to loss, which is missing'],
    [{...good, cluster: {rank: 0, size: 2}}, 'trainer: cluster must be what joinCluster of tfjs-mamba/node gives'],
    [
      {...good, steps: 1},
      'trainer: unknown argument steps; expected optimizer, clipNorm, gradientAccumulation, loss, count',
    ],
  ];
  for (const [options, message] of wrong) {
    it(`is named in ${JSON.stringify(Object.keys(options))}: ${message}`, () => {
      expect(() => trainer(regressor(), options as never)).toThrowError(message);
    });
  }

  it('is named: model', () => {
    expect(() => trainer({} as tf.LayersModel, good)).toThrowError('trainer: model must be a tf.LayersModel');
  });

  const wrongFit: [object, string][] = [
    [{}, 'trainer: steps must be a positive whole number, but is undefined'],
    [{steps: 1, reportEvery: 0.5}, 'trainer: reportEvery must be a positive whole number, but is 0.5'],
    [
      {steps: 1, validation: {dataset: heldOut()}},
      'trainer: validation.every must be a positive whole number, but is undefined',
    ],
    [
      {steps: 1, validation: {every: 1}},
      'trainer: validation.dataset must have an iterator(), as tokenWindows and tf.data.Dataset have',
    ],
    [{steps: 1, checkpoint: memoryCheckpoints()}, 'trainer: checkpoint.target must have save(files) and load()'],
    [
      {steps: 1, epochs: 1},
      'trainer: unknown argument epochs; expected steps, callbacks, reportEvery, validation, checkpoint, signal, verbose; did you mean steps?',
    ],
  ];
  for (const [options, message] of wrongFit) {
    it(`is named: ${message}`, async () => {
      const ofModel = trainer(regressor(), {...good, loss: squaredError});
      await expectAsync(ofModel.fit(regressionData(2), options as never)).toBeRejectedWithError(message);
    });
  }

  it('is named: a model with nothing to train', async () => {
    const model = regressor();
    for (const layer of model.layers) layer.trainable = false;
    await expectAsync(
      trainer(model, {...good, loss: squaredError}).fit(regressionData(2), {steps: 1}),
    ).toBeRejectedWithError(/^trainer: model must have weights to train, but all are frozen/);
  });

  it('is named: dataset', async () => {
    const ofModel = trainer(regressor(), good);
    await expectAsync(ofModel.fit([] as never, {steps: 1})).toBeRejectedWithError(
      'trainer: dataset must have an iterator(), as tokenWindows and tf.data.Dataset have',
    );
    const forgetful = fixedData([]);
    await expectAsync(
      ofModel.fit(forgetful, {steps: 1, checkpoint: {target: memoryCheckpoints()}}),
    ).toBeRejectedWithError('trainer: checkpoint needs a dataset whose iterator has state(), such as tokenWindows');
  });
});
