/** Whatever throws in the middle of training or evaluation: no tensor stays behind, and the next fit goes on. */
import * as tf from '@tensorflow/tfjs';
import {MambaLM} from '../../src/lm/model';
import {clipScale} from '../../src/ops/adamW';
import {AdamW, adamW} from '../../src/training/adamW';
import type {TrainingStore} from '../../src/training/checkpoint';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import type {Batch, BatchDataset} from '../../src/training/data';
import {tokenWindows} from '../../src/training/data';
import type {FitOptions, TrainerOptions} from '../../src/training/options';
import {trainer} from '../../src/training/trainer';
import {backendSettings} from '../support/settings';
import {numbers, regressionData, regressor, smallLM, squaredError} from './models';
import {heldOut, optimizer, windows} from './runs';

/** Makes the k-th thing that the engine is asked for throw: a kernel, a tensor of given values, values of a tensor. */
async function withFailure(k: number, work: () => Promise<unknown>): Promise<{asked: number; error?: Error}> {
  let asked = 0;
  const own: [Record<string, unknown>, string][] = [
    [tf.engine() as never, 'runKernel'],
    [tf.engine() as never, 'makeTensor'],
    [tf.engine() as never, 'read'],
  ];
  for (const [object, name] of own) {
    const original = object[name] as (...args: unknown[]) => unknown;
    object[name] = (...args: unknown[]) => {
      if (++asked === k) throw new Error(`${name} failed`);
      return original.apply(object, args);
    };
  }
  try {
    await work();
    return {asked};
  } catch (error) {
    return {asked, error: error as Error};
  } finally {
    // The methods are the class's.
    for (const [object, name] of own) delete object[name];
  }
}

/** A store that always gives the same, so that every attempt takes the same way. */
async function frozen(store: TrainingStore): Promise<TrainingStore> {
  const files = await store.load();
  return {load: async () => files, save: async () => {}};
}

describe('a training step of which any part throws', () => {
  const cases: [string, () => [tf.LayersModel, TrainerOptions, BatchDataset, BatchDataset]][] = [
    [
      'a language model with accumulation',
      () => {
        const model = new MambaLM({vocabSize: 5, dModel: 4, nLayer: 1, dState: 2}, {seed: 1});
        const data = (order: 'random' | 'sequential') =>
          tokenWindows([0, 1, 2, 3, 4, 0, 1, 2], {batchSize: 1, length: 3, order});
        return [model, {optimizer: optimizer(), gradientAccumulation: 2}, data('random'), data('sequential')];
      },
    ],
    [
      'another model with another optimizer',
      () => [
        regressor(),
        {optimizer: tf.train.sgd(0.01), loss: squaredError, clipNorm: 1},
        regressionData(2),
        regressionData(2, 2),
      ],
    ],
  ];
  for (const [name, make] of cases) {
    it(`leaves nothing behind: ${name}`, async () => {
      const [model, options, dataset, other] = make();
      const ofModel = trainer(model, options);
      const store = memoryCheckpoints();
      await ofModel.fit(dataset, {steps: 1, checkpoint: {target: store}});
      const target = await frozen(store);
      const fit = (): Promise<unknown> =>
        ofModel.fit(dataset, {steps: 2, checkpoint: {target}, validation: {dataset: other, every: 1}});
      /** With each moment by itself, which between two steps may be few for all. */
      const held = async () => {
        if (options.optimizer instanceof AdamW) await options.optimizer.getWeights();
        return tf.memory().numTensors;
      };
      await fit();
      const before = await held();
      const {asked, error} = await withFailure(Infinity, fit);
      expect(error).toBeUndefined();
      expect(asked).toBeGreaterThan(100);
      expect(await held()).toBe(before);
      const wrong: string[] = [];
      // What is shared by all backends is shown in full by one; primes, so that the others meet all kinds of parts.
      const stride = ({cpu: 1, wasm: 3, tensorflow: 5} as Record<string, number>)[tf.getBackend()] ?? 17;
      for (let k = 1; k <= asked; k += stride) {
        const {error} = await withFailure(k, fit);
        const left = (await held()) - before;
        if (left !== 0 || !/ failed$/.test(error?.message ?? '')) {
          wrong.push(`part ${k}: ${left} left, ${error?.stack?.split('\n').slice(0, 12).join('\n')}`);
          tf.engine().state.numTensors -= left; // so that the others are seen on their own
        }
      }
      expect(wrong).toEqual([]);
      await fit();
      expect(await held()).toBe(before);
    });
  }
});

describe('an error of others in the middle of training', () => {
  /** Runs what is to fail; the message, after looking for tensors left. */
  async function failing(work: () => Promise<unknown>): Promise<string> {
    const before = tf.memory().numTensors;
    const message = await work().then(
      () => 'no error',
      (error: Error) => error.message,
    );
    expect(tf.memory().numTensors).toBe(before);
    return message;
  }

  /** Batches of one row, with something else in the place of the last. */
  function ending(last: () => unknown, good = 1): BatchDataset {
    return {
      iterator: async () => {
        let given = 0;
        return {
          next: async () => {
            if (given++ >= good) return last() as IteratorResult<Batch>;
            const ids = () => tf.tensor2d([[1, 2, 3]], [1, 3], 'int32');
            return {done: false, value: {xs: ids(), ys: ids()}};
          },
        };
      },
    };
  }
  const batch = (xs: number[], ys: number[]) => () => ({
    done: false,
    value: {xs: tf.tensor2d([xs], undefined, 'int32'), ys: tf.tensor2d([ys], undefined, 'int32')},
  });
  const fails = () => {
    throw new Error('disk gone');
  };

  it('is passed on, and nothing stays: iterators', async () => {
    const ofModel = trainer(smallLM(), {optimizer: optimizer(), gradientAccumulation: 3});
    const [fit, evaluate] = [
      (last: () => unknown) => failing(() => ofModel.fit(ending(last), {steps: 5})),
      (last: () => unknown) => failing(() => ofModel.evaluate(ending(last))),
    ];
    const noBatch = /^trainer: the dataset must give batches \{xs, ys\}, each a tensor in use or a list of them/;
    for (const attempt of [fit, evaluate]) {
      expect(await attempt(fails)).toBe('disk gone');
      expect(await attempt(() => undefined)).toMatch(noBatch);
      expect(await attempt(() => ({done: false}))).toMatch(noBatch);
      expect(await attempt(() => ({done: false, value: {xs: tf.scalar(1)}}))).toMatch(noBatch);
      expect(await attempt(() => ({done: false, value: {xs: [[1]], ys: tf.scalar(1)}}))).toMatch(noBatch);
    }
  });

  if (backendSettings().refusesValues) {
    it('is passed on, and nothing stays: ids and labels out of range', async () => {
      for (const gradientAccumulation of [1, 3]) {
        const ofModel = trainer(smallLM(), {optimizer: optimizer(), gradientAccumulation});
        const good = gradientAccumulation - 1;
        for (const [xs, ys, message] of [
          [[1, 2, 3], [4, 7, 6], 'crossEntropy: labels must lie in [0, 7) or equal ignoreIndex, -100, but has 7'],
          [[1, -1, 3], [4, 5, 6], 'embedding: ids must lie in [0, 7) but has -1'],
        ] as [number[], number[], string][]) {
          expect(await failing(() => ofModel.fit(ending(batch(xs, ys), good), {steps: 5}))).toBe(message);
          expect(await failing(() => ofModel.evaluate(ending(batch(xs, ys), 1)))).toBe(message);
        }
      }
    });
  }

  it('is passed on, and nothing stays: losses, stores, callbacks', async () => {
    const ofModel = (loss: TrainerOptions['loss']) => trainer(regressor(), {optimizer: tf.train.sgd(0.1), loss});
    let calls = 0;
    const once: TrainerOptions['loss'] = (ys, outputs) => (calls++ > 0 ? fails() : squaredError(ys, outputs));
    const good = () => regressionData(2);
    const models = [once, fails, squaredError].map((loss) => ofModel(loss));
    expect(await failing(() => models[1].evaluate(good(), {batches: 2}))).toBe('disk gone');
    await models[2].fit(good(), {steps: 1});
    expect(await failing(() => models[0].fit(good(), {steps: 5}))).toBe('disk gone');
    expect(await failing(() => models[1].fit(good(), {steps: 5}))).toBe('disk gone');
    const store = {load: async () => undefined, save: async () => fails()};
    const attempts: Partial<FitOptions>[] = [
      {checkpoint: {target: store}},
      {checkpoint: {target: {...store, load: async () => fails()}}},
      {callbacks: {onStep: fails}},
      {callbacks: {onValidation: fails}, validation: {dataset: regressionData(2, 2), every: 2}},
      {callbacks: {onCheckpoint: fails}, checkpoint: {target: memoryCheckpoints(), every: 1}},
    ];
    for (const options of attempts) {
      const more = {...options, steps: models[2].step + 5};
      expect(await failing(() => models[2].fit(good(), more))).toBe('disk gone');
    }
  });
});

describe('two fits at once', () => {
  const message = 'trainer: another fit of this model or optimizer is still at work; wait until it has ended';

  it('of one trainer, model or optimizer: the second is refused, and the first is not disturbed', async () => {
    const alone = smallLM();
    await trainer(alone, {optimizer: optimizer()}).fit(windows(), {steps: 4});
    const model = smallLM();
    const ofModel = optimizer();
    const first = trainer(model, {optimizer: ofModel});
    const fit = first.fit(windows(), {steps: 4});
    await expectAsync(first.fit(windows(), {steps: 4})).toBeRejectedWithError(message);
    for (const other of [trainer(model, {optimizer: optimizer()}), trainer(smallLM(), {optimizer: ofModel})]) {
      await expectAsync(other.fit(windows(), {steps: 4})).toBeRejectedWithError(message);
    }
    expect((await fit).step).toBe(4);
    expect(await numbers(model.getWeights())).toEqual(await numbers(alone.getWeights()));
  });

  it('one after the other, also after one that failed, they run', async () => {
    const ofModel = trainer(smallLM(), {optimizer: optimizer()});
    const onStep = () => {
      throw new Error('enough');
    };
    await expectAsync(ofModel.fit(windows(), {steps: 2, callbacks: {onStep}})).toBeRejectedWithError('enough');
    expect((await ofModel.fit(windows(), {steps: 2})).step).toBe(2);
    expect((await ofModel.fit(windows(), {steps: 3})).step).toBe(3);
  });

  it('evaluate may run in between', async () => {
    const ofModel = trainer(smallLM(), {optimizer: optimizer()});
    const losses: number[] = [];
    const onStep = async () => losses.push((await ofModel.evaluate(heldOut())).loss);
    await ofModel.fit(windows(), {steps: 2, callbacks: {onStep}});
    expect(losses.length).toBe(2);
  });
});

describe('a run gone wrong', () => {
  it('is not hidden by clipping: a norm that is NaN gives NaN', async () => {
    for (const [norm, scale] of [
      [NaN, NaN],
      [Infinity, 0],
      [4, 0.5],
      [1, 1],
    ]) {
      const [given] = await tf.tidy(() => clipScale(tf.scalar(norm), 2)).data();
      if (Number.isNaN(scale)) expect(given).toBeNaN();
      else expect(given).toBeCloseTo(scale, 6);
    }
  });

  it('is not hidden by clipping: the weights show it', async () => {
    const model = regressor();
    // The loss is finite, its gradient is not.
    const loss: TrainerOptions['loss'] = (_, outputs) =>
      (outputs as tf.Tensor)
        .sub(outputs as tf.Tensor)
        .sqrt()
        .mean();
    for (const gradientAccumulation of [1, 2]) {
      const ofModel = trainer(model, {optimizer: tf.train.sgd(0.1), loss, clipNorm: 1, gradientAccumulation});
      await expectAsync(ofModel.fit(regressionData(2), {steps: 1})).toBeRejectedWithError(
        /^trainer: step 1 has loss 0 and gradient norm NaN/,
      );
      for (const values of await numbers(model.getWeights())) expect(values.every(Number.isNaN)).toBeTrue();
      model.setWeights(regressor().getWeights());
    }
  });

  for (const [name, learningRate] of [
    ['weights that overflow', 3e38],
    ['weights whose loss overflows', 1e24],
  ] as const) {
    it(`never replaces a good checkpoint, and the run goes on from that: ${name}`, async () => {
      const store = memoryCheckpoints();
      const options = {loss: squaredError};
      const sound = () => trainer(regressor(), {...options, optimizer: tf.train.sgd(0.05)});
      await sound().fit(regressionData(2), {steps: 2, checkpoint: {target: store}});
      const good = await store.load();
      const diverging = trainer(regressor(), {...options, optimizer: tf.train.sgd(learningRate)});
      // The loss of the third step is that of the good weights.
      await expectAsync(
        diverging.fit(regressionData(2), {steps: 3, checkpoint: {target: store, every: 1}}),
      ).toBeRejectedWithError(/^trainer: the weights after step 3 give the loss (NaN|Infinity), so they are not saved/);
      expect(await store.load()).toBe(good);
      const result = await sound().fit(regressionData(2), {steps: 4, checkpoint: {target: store}});
      expect(result.step).toBe(4);
      expect(result.report!.loss).toBeLessThan(10);
    });
  }

  it('says which checkpoint there is, if any', async () => {
    const store = memoryCheckpoints();
    for (const [learningRate, end] of [
      [1e-2, undefined],
      [3e38, /^trainer: step \d+ has loss .*; the last checkpoint, of step 2, stays$/],
    ] as const) {
      const fit = trainer(regressor(), {optimizer: tf.train.sgd(learningRate), loss: squaredError});
      const ended = fit.fit(regressionData(2), {steps: end ? 9 : 2, checkpoint: {target: store}});
      if (end) await expectAsync(ended).toBeRejectedWithError(end);
      else await ended;
    }
    const alone = trainer(regressor(), {optimizer: tf.train.sgd(3e38), loss: squaredError});
    const options = {steps: 9, checkpoint: {target: memoryCheckpoints()}};
    await expectAsync(alone.fit(regressionData(2), options)).toBeRejectedWithError(/; there is no checkpoint yet$/);
    const none = trainer(regressor(), {optimizer: tf.train.sgd(3e38), loss: squaredError});
    await expectAsync(none.fit(regressionData(2), {steps: 9})).toBeRejectedWithError(/clipNorm may help$/);
  });

  it('ends with a message about the training, whichever step was the last and whatever looked at it', async () => {
    const store = memoryCheckpoints();
    const validation = {dataset: regressionData(2), every: 1, batches: 1, best: store};
    for (const [options, message] of [
      [{}, /^trainer: the weights after step 1 give the loss (NaN|Infinity); a lower learning rate, .* may help$/],
      [
        {validation},
        /^trainer: the validation after step 1 has the loss (NaN|Infinity); a lower learning rate, .* may help$/,
      ],
      [
        {validation, checkpoint: {target: store}},
        /^trainer: the validation after step 1 has the loss .* may help; there is no checkpoint yet$/,
      ],
    ] as [Partial<FitOptions>, RegExp][]) {
      const onValidation = jasmine.createSpy();
      const ofModel = trainer(regressor(), {optimizer: tf.train.sgd(1e24), loss: squaredError});
      await expectAsync(
        ofModel.fit(regressionData(2), {steps: 1, callbacks: {onValidation}, ...options}),
      ).toBeRejectedWithError(message);
      expect(onValidation).not.toHaveBeenCalled();
      expect(await store.load()).toBeUndefined();
    }
  });

  it('never replaces a good checkpoint: moments that overflow', async () => {
    const store = memoryCheckpoints();
    const model = regressor();
    const large: TrainerOptions['loss'] = (ys, outputs) => squaredError(ys, outputs).mul(1e25);
    const ofModel = trainer(model, {optimizer: adamW({learningRate: 1e-3}), loss: large});
    await expectAsync(ofModel.fit(regressionData(2), {steps: 1, checkpoint: {target: store}})).toBeRejectedWithError(
      // Where the norm is summed in float32, it overflows as well.
      /^trainer: (after step 1 hidden\/kernel(_\d+)?\/v has Infinity at \d+, so it is not saved|step 1 has .* norm Infinity)/,
    );
    expect(await store.load()).toBeUndefined();
  });

  it('never replaces a good checkpoint: weights that no output shows', async () => {
    const store = memoryCheckpoints();
    const model = regressor();
    const ofModel = trainer(model, {optimizer: tf.train.sgd(0.01), loss: squaredError});
    const onStep = async () => {
      const [kernel] = model.getWeights();
      const values = (await kernel.data()).slice();
      values[4] = -Infinity; // through tanh, a finite output
      model.setWeights([tf.tensor(values, kernel.shape), ...model.getWeights().slice(1)]);
    };
    await expectAsync(
      ofModel.fit(regressionData(2), {steps: 1, callbacks: {onStep}, checkpoint: {target: store}}),
    ).toBeRejectedWithError(/^trainer: after step 1 hidden\/kernel has -Infinity at 4, so it is not saved/);
    expect(await store.load()).toBeUndefined();
  });
});
