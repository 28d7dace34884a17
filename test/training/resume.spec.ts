/** Stopping and going on: exact resume, abort, checkpoints that are refused. */
import * as tf from '@tensorflow/tfjs';
import {adamW} from '../../src/training/adamW';
import type {CheckpointFiles, CheckpointTarget} from '../../src/training/checkpoint';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import type {StepReport} from '../../src/training/options';
import {trainer} from '../../src/training/trainer';
import {numbers, regressionData, regressor, smallLM, squaredError} from './models';
import {heldOut, optimizer, trained, windows} from './runs';

describe('exact resume', () => {
  it('stopped and resumed is never stopped, bit for bit', async () => {
    const straight = await trained(windows, [{steps: 9}], 2);
    const target = memoryCheckpoints();
    const resumed = await trained(
      windows,
      [4, 5, 9].map((steps) => ({steps, checkpoint: {target}})),
      2,
    );
    expect(resumed.reports).toEqual(straight.reports);
    expect(resumed.weights).toEqual(straight.weights);
    expect(resumed.state).toEqual(straight.state);
  });

  it('goes on from the last checkpoint when the process died after it', async () => {
    const straight = await trained(windows, [{steps: 8}]);
    const target = memoryCheckpoints();
    const onStep = ({step}: StepReport) => {
      if (step === 5) throw new Error('power cut');
    };
    await expectAsync(
      trained(windows, [{steps: 8, checkpoint: {target, every: 2}, callbacks: {onStep}}]),
    ).toBeRejectedWithError('power cut');
    const resumed = await trained(windows, [{steps: 8, checkpoint: {target, every: 2}}]);
    expect(resumed.reports.map(({step}) => step)).toEqual([5, 6, 7, 8]);
    expect(resumed.weights).toEqual(straight.weights);
    expect(resumed.state).toEqual(straight.state);
  });

  it('is not disturbed by validation', async () => {
    const straight = await trained(windows, [{steps: 6}]);
    const validation = {dataset: heldOut(), every: 2};
    expect((await trained(windows, [{steps: 6, validation}])).weights).toEqual(straight.weights);
  });

  it('does nothing when the steps are done', async () => {
    const target = memoryCheckpoints();
    const done = await trained(windows, [{steps: 3, checkpoint: {target}}]);
    const again = await trained(windows, [{steps: 3, checkpoint: {target}}]);
    expect(again.reports).toEqual([]);
    expect(again.weights).toEqual(done.weights);
  });

  it('works on a model of any kind', async () => {
    const run = async (stops: number[]) => {
      const target = memoryCheckpoints();
      let weights: number[][] = [];
      for (const steps of stops) {
        const model = regressor();
        const options = {optimizer: adamW({learningRate: 0.05}), loss: squaredError};
        await trainer(model, options).fit(regressionData(3), {steps, checkpoint: {target}});
        weights = await numbers(model.getWeights());
      }
      return weights;
    };
    expect(await run([2, 6])).toEqual(await run([6]));
  });
});

describe('aborting', () => {
  it('ends after the step at hand, with a checkpoint from which the run goes on exactly', async () => {
    const straight = await trained(windows, [{steps: 8}]);
    const target = memoryCheckpoints();
    const stop = new AbortController();
    const model = smallLM();
    const onStep = ({step}: StepReport) => step === 3 && stop.abort();
    const result = await trainer(model, {optimizer: optimizer()}).fit(windows(), {
      steps: 8,
      callbacks: {onStep},
      checkpoint: {target},
      signal: stop.signal,
    });
    expect(result.ended).toBe('aborted');
    expect(result.step).toBe(3);
    expect(result.report!.step).toBe(3);
    expect((await trained(windows, [{steps: 8, checkpoint: {target}}])).weights).toEqual(straight.weights);
  });

  it('is noticed while the backend computes in this thread', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 0);
    const result = await trainer(smallLM(), {optimizer: optimizer()}).fit(windows(), {
      steps: 5000,
      signal: stop.signal,
    });
    expect(result.ended).toBe('aborted');
    expect(result.step).toBeLessThan(5000);
  });

  it('before the first step changes nothing', async () => {
    const model = smallLM();
    const before = await numbers(model.getWeights());
    const result = await trainer(model, {optimizer: optimizer()}).fit(windows(), {
      steps: 5,
      signal: AbortSignal.abort(),
    });
    expect(result).toEqual({step: 0, ended: 'aborted'});
    expect(await numbers(model.getWeights())).toEqual(before);
  });
});

describe('a damaged or foreign checkpoint', () => {
  /** Tries to go on from `change` of a good checkpoint: the error, and whether model and optimizer are as they were. */
  async function refusal(change: (files: CheckpointFiles) => CheckpointFiles | void): Promise<string> {
    const good = memoryCheckpoints();
    const data = regressionData(2);
    const options = () => ({optimizer: adamW({learningRate: 0.05}), loss: squaredError});
    await trainer(regressor(), options()).fit(data, {steps: 2, checkpoint: {target: good}});
    const files = {...(await good.load())!};
    const target: CheckpointTarget = {...good, load: async () => change(files) ?? files};
    const model = regressor();
    const before = await numbers(model.getWeights());
    const tensors = tf.memory().numTensors;
    const ofModel = trainer(model, options());
    const message = await ofModel.fit(data, {steps: 4, checkpoint: {target}}).then(
      () => 'no error',
      (error: Error) => error.message,
    );
    expect(await numbers(model.getWeights())).toEqual(before);
    expect(ofModel.step).toBe(0);
    expect(tf.memory().numTensors).toBe(tensors);
    return message;
  }

  function edited(files: CheckpointFiles, edit: (json: Record<string, never>) => void): CheckpointFiles {
    const json = JSON.parse(new TextDecoder().decode(files['training.json'])) as Record<string, never>;
    edit(json);
    return {...files, 'training.json': new TextEncoder().encode(JSON.stringify(json))};
  }

  it('without a file is refused', async () => {
    const without = (files: CheckpointFiles, name: string) =>
      Object.fromEntries(Object.entries(files).filter(([other]) => other !== name));
    expect(await refusal((files) => without(files, 'model.bin'))).toBe('trainer: the checkpoint has no model.bin');
    expect(await refusal((files) => without(files, 'optimizer.bin'))).toBe(
      'trainer: the checkpoint has no optimizer.bin',
    );
    expect(await refusal(() => ({}))).toBe('trainer: the checkpoint has no training.json');
  });

  it('of another kind or version is refused', async () => {
    const kind = 'trainer: training.json of the checkpoint is not of a tfjs-mamba training checkpoint';
    expect(await refusal((files) => ({...files, 'training.json': new Uint8Array([1, 2, 3])}))).toBe(kind);
    expect(await refusal((files) => ({...files, 'training.json': new TextEncoder().encode('null')}))).toBe(kind);
    expect(await refusal((files) => edited(files, (json) => Object.assign(json, {version: 2})))).toBe(
      'trainer: the checkpoint has version 2, but this release reads 1',
    );
  });

  it('cut short is refused', async () => {
    expect(await refusal((files) => ({...files, 'optimizer.bin': files['optimizer.bin'].slice(0, -4)}))).toMatch(
      /^trainer: optimizer\.bin of the checkpoint must have \d+ bytes, but has \d+$/,
    );
  });

  it('of another model is refused, naming the weight', async () => {
    const good = memoryCheckpoints();
    const options = () => ({optimizer: adamW({learningRate: 0.05})});
    await trainer(smallLM(), options()).fit(windows(), {steps: 1, checkpoint: {target: good}});
    const files = (await good.load())!;
    expect(await refusal(() => files)).toMatch(
      /^trainer: the checkpoint is of another model: it has no hidden\/kernel$/,
    );
  });
});
