/** What a run keeps besides its last weights: the best ones, a mean of all, and when it has had enough. */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src';
import {loadCheckpoint, memoryCheckpoints} from '../../src/training/checkpoint';
import type {FitOptions, TrainerOptions} from '../../src/training/options';
import {trainer} from '../../src/training/trainer';
import {numbers, regressionData, regressor, smallLM, squaredError} from './models';
import {heldOut, optimizer, windows} from './runs';

/** Steps of plain descent on a loss that depends on the weights alone: the validation losses are as given. */
function scripted(losses: number[], options: Partial<TrainerOptions> = {}) {
  const model = regressor();
  let calls = 0;
  const loss: TrainerOptions['loss'] = (labels, outputs) => squaredError(labels, outputs);
  const fit = trainer(model, {optimizer: tf.train.sgd(0.01), loss, ...options});
  spyOn(fit, 'evaluate').and.callFake(async () => {
    const value = losses[calls++];
    return {loss: value, perplexity: Math.exp(value)};
  });
  return {model, fit};
}

const validation = (more: Partial<FitOptions['validation']> = {}) => ({
  dataset: regressionData(2, 1),
  every: 1,
  ...more,
});

describe('early stopping', () => {
  it('ends after so many validations in a row that are not lower, and says which was the lowest', async () => {
    const {fit} = scripted([5, 4, 4, 3, 3.5, 3, 9, 9]);
    const result = await fit.fit(regressionData(2), {steps: 20, validation: validation({patience: 3})});
    expect([result.step, result.ended, result.best]).toEqual([7, 'patience', {step: 4, loss: 3}]);
  });

  it('remembers over a checkpoint what it has seen, and that it is over', async () => {
    const target = memoryCheckpoints();
    const losses = [5, 4, 4.5, 6, 7, 1];
    const ended: unknown[] = [];
    for (const steps of [1, 3, 20, 20]) {
      const {fit} = scripted(losses);
      const {
        step,
        ended: why,
        best,
      } = await fit.fit(regressionData(2), {
        ...{steps, checkpoint: {target}},
        validation: validation({patience: 2}),
      });
      losses.splice(0, step - (ended.length > 0 ? (ended[ended.length - 1] as number[])[0] : 0));
      ended.push([step, why, best]);
    }
    const best = {step: 2, loss: 4};
    expect(ended).toEqual([
      [1, 'steps', {step: 1, loss: 5}],
      [3, 'steps', best],
      [4, 'patience', best],
      [4, 'patience', best],
    ]);
  });
});

describe('the best checkpoint', () => {
  it('has the weights of the lowest validation loss, whatever came after', async () => {
    const best = memoryCheckpoints();
    const {model, fit} = scripted([5, 2, 4, 3]);
    const weights: number[][][] = [];
    const onStep = async () => weights.push(await numbers(model.getWeights()));
    await fit.fit(regressionData(2), {steps: 4, validation: validation({best}), callbacks: {onStep}});
    const other = regressor();
    expect(await loadCheckpoint(best, other)).toEqual({step: 2});
    expect(await numbers(other.getWeights())).toEqual(weights[1]);
    expect(weights[3]).not.toEqual(weights[1]);
    await expectAsync(loadCheckpoint(memoryCheckpoints(), other)).toBeRejectedWithError(
      'loadCheckpoint: the store has no checkpoint',
    );
  });
});

describe('the mean of the weights', () => {
  const decay = 0.6;

  it('is that of all steps, with a quick start', async () => {
    const {model, fit} = scripted([], {emaDecay: decay});
    const weights: number[][][] = [];
    const onStep = async () => weights.push(await numbers(model.getWeights()));
    await fit.fit(regressionData(2), {steps: 12, callbacks: {onStep}});
    let expected = weights[0].flat();
    weights.slice(1).forEach((after, i) => {
      const share = Math.min(decay, (3 + i) / (12 + i));
      expected = expected.map((mean, k) => share * mean + (1 - share) * after.flat()[k]);
    });
    const last = await numbers(model.getWeights());
    const mean = (await fit.averaged(async () => numbers(model.getWeights()))).flat();
    mean.forEach((value, k) => expect(value).toBeCloseTo(expected[k], 5));
    expect(mean).not.toEqual(last.flat());
    expect(await numbers(model.getWeights())).toEqual(last);
  });

  it('is what validation sees, what the best checkpoint gives, and goes on bit for bit', async () => {
    const run = async (stops: number[]) => {
      const target = memoryCheckpoints();
      const best = memoryCheckpoints();
      let mean: number[][] = [];
      let loss = 0;
      for (const steps of stops) {
        const model = smallLM();
        const fit = trainer(model, {optimizer: optimizer(), emaDecay: 0.9});
        const options = {steps, checkpoint: {target}, validation: {dataset: heldOut(), every: 4, best}};
        const {validation: seen} = await fit.fit(windows(), options);
        mean = await fit.averaged(async () => numbers(model.getWeights()));
        loss = (await fit.averaged(() => fit.evaluate(heldOut()))).loss;
        expect(seen!.loss).toBe(loss);
        fit.dispose();
      }
      const model = smallLM();
      await loadCheckpoint(best, model);
      expect(await numbers(model.getWeights())).toEqual(mean);
      return {mean, loss};
    };
    expect(await run([4, 8])).toEqual(await run([8]));
  });

  it('keeps the number of tensors, and is freed', async () => {
    const model = regressor();
    const before = tf.memory().numTensors;
    const fit = trainer(model, {optimizer: tf.train.sgd(0.01), loss: squaredError, emaDecay: 0.9});
    const counts = new Set<number>();
    await fit.fit(regressionData(2), {
      ...{steps: 6, validation: {dataset: regressionData(2, 1), every: 1}},
      callbacks: {onStep: () => counts.add(tf.memory().numTensors)},
    });
    expect(counts.size).toBe(1);
    fit.dispose();
    expect(tf.memory().numTensors).toBe(before + 1); // sgd's own scalar
  });

  it('says what is wrong', () => {
    for (const emaDecay of [1, -0.1, NaN, '0.9']) {
      expect(() => trainer(regressor(), {optimizer: tf.train.sgd(1), emaDecay: emaDecay as number})).toThrowError(
        /^trainer: emaDecay must be a number of at least 0 and below 1, but is /,
      );
    }
  });
});

describe('what dropout drops next', () => {
  const block = () => layers.mambaBlock({name: 'block', dropout: 0.5, dState: 2, inputShape: [3, 4]});
  const models: Record<string, () => tf.layers.Layer> = {
    'a layer without a seed': block,
    'both directions of a bidirectional': () =>
      tf.layers.bidirectional({name: 'both', layer: block(), mergeMode: 'sum', inputShape: [3, 4]}),
  };
  for (const [what, layer] of Object.entries(models)) {
    it(`is in a checkpoint: of ${what}`, async () => {
      const target = memoryCheckpoints();
      const loss: TrainerOptions['loss'] = (labels, outputs) => squaredError(labels, outputs);
      const data = () => {
        const [xs, ys] = [
          tf.randomNormal([2, 3, 4], 0, 1, 'float32', 1),
          tf.randomNormal([2, 3, 4], 0, 1, 'float32', 2),
        ];
        return {
          iterator: async () => ({
            next: async () => ({done: false, value: {xs: xs.clone(), ys: ys.clone()}}),
            state: () => null,
          }),
        };
      };
      const make = () => tf.sequential({layers: [layer()]});
      const first = make();
      const fitting = trainer(first, {optimizer: tf.train.sgd(0.1), loss});
      await fitting.fit(data(), {steps: 2, checkpoint: {target}});
      const second = make();
      await fitting.fit(data(), {steps: 5});
      await trainer(second, {optimizer: tf.train.sgd(0.1), loss}).fit(data(), {steps: 5, checkpoint: {target}});
      expect(await numbers(second.getWeights())).toEqual(await numbers(first.getWeights()));
    });
  }
});
