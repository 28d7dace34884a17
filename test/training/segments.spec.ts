/** Truncated back-propagation: states carried from batch to batch, kept in checkpoints, without a gradient into the batch before. */
import * as tf from '@tensorflow/tfjs';
import type {TrainerOptions} from '../../src/training/options';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import {tokenWindows} from '../../src/training/data';
import type {FitOptions, StepReport} from '../../src/training/options';
import {trainer} from '../../src/training/trainer';
import {numbers, regressor, smallLM, smallText} from './models';
import {heldOut, optimizer} from './runs';

const segments = () => tokenWindows(smallText.slice(0, 100), {batchSize: 3, length: 8, order: 'continuous'});

/** Weights and reports after runs of fit, each by a new trainer. */
async function trained(runs: FitOptions[], options: Partial<TrainerOptions> = {}) {
  const reports: StepReport[] = [];
  let weights: number[][] = [];
  for (const run of runs) {
    const model = smallLM();
    const onStep = (report: StepReport) => reports.push({...report, tokensPerSecond: 0});
    const fit = trainer(model, {optimizer: optimizer(), stateful: true, ...options});
    await fit.fit(segments(), {callbacks: {onStep}, ...run});
    weights = await numbers(model.getWeights());
  }
  return {weights, reports};
}

describe('continuous windows', () => {
  it('go on in each row, again and again from the beginning, from a saved position too', async () => {
    const iterator = await segments().iterator();
    const text = smallText.slice(0, 100);
    for (let i = 0; i < 9; i++) {
      const {value} = await iterator.next();
      const {xs, ys, isStart} = value;
      const [start, stretch] = [8 * (i % 4), 33];
      expect(isStart).toBe(i % 4 === 0);
      const rows = [0, 1, 2].map((row) => text.slice(row * stretch + start, row * stretch + start + 9));
      expect(await xs.array()).toEqual(rows.map((row) => row.slice(0, 8)));
      expect(await ys.array()).toEqual(rows.map((row) => row.slice(1)));
      const resumed = await (await segments().iterator(iterator.state())).next();
      const [again, next] = [resumed.value.xs, (await (await segments().iterator({row: i + 1})).next()).value.xs];
      expect(await again.array()).toEqual(await next.array());
    }
  });

  it('need a segment for every row', () => {
    const few = () => tokenWindows([1, 2, 3, 4], {batchSize: 2, length: 2, order: 'continuous'});
    expect(few).toThrowError('tokenWindows: tokens must be a list of at least 5 token ids, but has 4');
  });
});

describe('a stateful trainer', () => {
  it('has in each segment the loss that it has within the whole text', async () => {
    const model = smallLM();
    const losses: number[] = [];
    const fit = trainer(model, {optimizer: tf.train.sgd(0), stateful: true});
    await fit.fit(segments(), {steps: 5, callbacks: {onStep: ({loss}) => losses.push(loss)}});
    const whole = tokenWindows(smallText.slice(0, 100), {batchSize: 3, length: 32, order: 'continuous'});
    const {value} = await (await whole.iterator()).next();
    const logits = model.predict(value.xs) as tf.Tensor3D;
    const perToken = tf.losses.softmaxCrossEntropy(
      tf.oneHot(value.ys, 7),
      logits,
      undefined,
      undefined,
      tf.Reduction.NONE,
    );
    const expected = (await perToken.reshape([3, 4, 8]).mean([0, 2]).array()) as number[];
    [...expected, expected[0]].forEach((loss, i) => expect(losses[i]).toBeCloseTo(loss, 5));
  });

  it('goes on from a checkpoint bit for bit, in the middle of a text', async () => {
    const whole = await trained([{steps: 7}]);
    const target = memoryCheckpoints();
    const parts = await trained([
      {steps: 2, checkpoint: {target}},
      {steps: 3, checkpoint: {target}},
      {steps: 7, checkpoint: {target}},
    ]);
    expect(parts).toEqual(whole);
    expect(Object.keys((await target.load())!)).toContain('trainer.bin');
  });

  it('does the same with checkpointed activations, and whether it is evaluated or not', async () => {
    const plain = await trained([{steps: 6}]);
    expect(await trained([{steps: 6}], {gradCheckpoint: true})).toEqual(plain);
    expect(await trained([{steps: 6, validation: {dataset: heldOut(), every: 1}}])).toEqual(plain);
  });

  it('keeps the number of tensors, and forgets the states in the end', async () => {
    const model = smallLM();
    const ofModel = optimizer();
    const before = tf.memory().numTensors;
    const counts: number[] = [];
    await trainer(model, {optimizer: ofModel, stateful: true, gradientAccumulation: 2}).fit(segments(), {
      steps: 12,
      callbacks: {onStep: () => counts.push(tf.memory().numTensors)},
    });
    expect(new Set(counts).size).toBe(1);
    ofModel.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is refused where nothing carries a state', () => {
    expect(() => trainer(regressor(), {optimizer: optimizer(), stateful: true})).toThrowError(
      'trainer: stateful is for models with layers of tfjs-mamba, but this one has none',
    );
  });
});
