/** The AdamW optimizer: rules, schedule and clipping, and its life inside TensorFlow.js: fit, save, load. */
import * as tf from '@tensorflow/tfjs';
import type {AdamWReferenceState} from '../../src/ops/adamW/reference';
import {adamWReference} from '../../src/ops/adamW/reference';
import type {AdamWOptions} from '../../src/training/adamW';
import {AdamW, adamW} from '../../src/training/adamW';
import {defaultNoDecay, nameMatcher} from '../../src/training/noDecay';
import {warmupCosine} from '../../src/training/schedules';
import {backendSettings} from '../support/settings';
import {numbers, regressor, smallLM} from './models';
import {windows} from './runs';

/** Runs `update` on a fresh variable that starts at `start`, and gives its values at the end. */
async function afterSteps(options: AdamWOptions, start: number[], gradients: (number[] | undefined)[], name?: string) {
  const variable = tf.variable(tf.tensor1d(start), true, name);
  const other = tf.variable(tf.scalar(1));
  const optimizer = adamW(options);
  for (const gradient of gradients) {
    tf.tidy(() => {
      const own = gradient && {[variable.name]: tf.tensor1d(gradient)};
      optimizer.applyGradients({...own, [other.name]: tf.scalar(0)});
    });
  }
  const values = [...(await variable.data())];
  optimizer.dispose();
  tf.dispose([variable, other]);
  return values;
}

/** The same by the reference. */
function expected(
  start: number[],
  gradients: number[][],
  {rate = () => 0.1, weightDecay = 0.1}: {rate?: (step: number) => number; weightDecay?: number} = {},
): Float64Array {
  const zeros = () => new Float64Array(start.length);
  let state: AdamWReferenceState = {param: Float64Array.from(start), firstMoment: zeros(), secondMoment: zeros()};
  gradients.forEach((gradient, i) => {
    const constants = {beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay, gradScale: 1};
    const step = i + 1;
    state = adamWReference(state, Float64Array.from(gradient), {...constants, learningRate: rate(step), step});
  });
  return state.param;
}

function expectClose(actual: ArrayLike<number>, wanted: ArrayLike<number>): void {
  const largest = Math.max(...Array.from(wanted, Math.abs));
  expect(actual.length).toBe(wanted.length);
  Array.from(wanted).forEach((value, i) => {
    expect(Math.abs(actual[i] - value) / largest).toBeLessThan(backendSettings().output);
  });
}

const start = [1, -2, 3];
const gradients = [
  [0.5, -1, 2],
  [-0.25, 3, 0],
  [1, 1, -1],
  [0.1, 0.2, 0.3],
];

describe('adamW', () => {
  it('has the defaults of the recipe', () => {
    const {beta1, beta2, epsilon, weightDecay, clipNorm} = adamW({learningRate: 1e-3});
    expect({beta1, beta2, epsilon, weightDecay, clipNorm}).toEqual({
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: undefined,
    });
  });

  it('takes steps as the reference', async () => {
    expectClose(await afterSteps({learningRate: 0.1}, start, gradients), expected(start, gradients));
  });

  it('leaves a variable without a gradient alone: value, moments and count of steps', async () => {
    const [a, b, c, d] = gradients;
    const withGaps = await afterSteps({learningRate: 0.1}, start, [a, undefined, b, undefined, undefined, c, d]);
    expect(withGaps).toEqual(await afterSteps({learningRate: 0.1}, start, [a, b, c, d]));
  });

  it('follows a schedule from step 1', async () => {
    const schedule = warmupCosine({peak: 0.2, warmupSteps: 2, totalSteps: 4, floor: 0.05});
    const wanted = expected(start, gradients, {rate: schedule});
    expectClose(await afterSteps({schedule}, start, gradients), wanted);
    expectClose(await afterSteps({learningRate: schedule}, start, gradients), wanted);
  });

  it('clips by the norm of all gradients together', async () => {
    const scale = (gradient: number[]) => gradient.map((g) => g * Math.min(1, 0.5 / (Math.hypot(...gradient) + 1e-6)));
    const clipped = await afterSteps({learningRate: 0.1, clipNorm: 0.5}, start, gradients);
    expectClose(clipped, expected(start, gradients.map(scale)));
  });

  // Where a dispatch is costly, many are updated together.
  it('takes the steps of many variables as of each alone, whoever changes one or leaves one out, and goes on when restored', async () => {
    const shapes = [[3], [], [2, 5], [1], [70, 3], [4], [2, 2, 2], [9], [1, 6], [5]];
    const places = [...shapes.keys()];
    const draw = (seed: number) => shapes.map((shape, i) => tf.randomNormal(shape, 0, 1, 'float32', seed + i));
    const make = (prefix: string) =>
      tf.tidy(() => draw(1).map((start, i) => tf.variable(start, true, `${prefix}_${i}_${i % 2 ? 'odd' : 'even'}`)));
    const before = tf.memory().numTensors;
    const [many, single] = [make('many'), make('single')];
    const options = {learningRate: 0.1, weightDecay: 0.2, noDecay: ['_even']};
    let together = adamW(options);
    const apart = places.map(() => adamW(options));
    for (let step = 0; step < 7; step++) {
      const grads = draw(100 * step);
      const named = (variables: tf.Variable[], some: number[]) =>
        Object.fromEntries(some.filter((i) => step !== 4 || i !== 3).map((i) => [variables[i].name, grads[i]]));
      if (step === 2) tf.tidy(() => [many, single].forEach((variables) => variables[4].assign(variables[4].neg())));
      if (step === 3) {
        const restored = adamW(options);
        await restored.setWeights(await together.getWeights());
        together.dispose();
        together = restored;
      }
      together.applyGradients(named(many, places));
      apart.forEach((optimizer, i) => optimizer.applyGradients(named(single, [i])));
      tf.dispose(grads);
    }
    const values = (tensors: tf.Tensor[]) => Promise.all(tensors.map((tensor) => tensor.data()));
    expect(await values(many)).toEqual(await values(single));
    const kept = Object.fromEntries((await together.getWeights()).map(({name, tensor}) => [name, tensor]));
    for (const i of places) {
      const [, , first, second] = await apart[i].getWeights();
      const own = [kept[`${many[i].name}/m`], kept[`${many[i].name}/v`]];
      expect(await values(own)).toEqual(await values([first.tensor, second.tensor]));
    }
    [together, ...apart].forEach((optimizer) => optimizer.dispose());
    tf.dispose([many, single]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is known from other optimizers', () => {
    expect(adamW({learningRate: 1}) instanceof AdamW).toBeTrue();
    expect(tf.train.adam(1) instanceof AdamW).toBeFalse();
    expect(adamW({learningRate: 1}) instanceof tf.Optimizer).toBeTrue();
  });
});

describe('the no-decay rule of adamW', () => {
  const isExempt = nameMatcher(defaultNoDecay);
  const exempt = [
    'layers.0/mixer/ALog',
    'layers.0/mixer/D',
    'layers.0/mixer/conv/bias',
    'layers.0/mixer/dtProj/bias',
    'layers.0/norm/weight',
    'normF/weight',
    'mamba_Mamba1/ALog',
    'rms_normalization_RMSNormalization1/weight',
    'layer_normalization_LayerNormalization2/gamma',
    'batch_normalization_BatchNormalization3/beta',
    'layers.0/mixer/D_1',
    'layers.12/mixer/ALog_12',
    'normF/weight_3',
    'normF/weight_1_1',
  ];
  const decaying = [
    'embeddings/weight',
    'layers.0/mixer/conv/weight',
    'layers.0/mixer/inProj/kernel',
    'layers.0/mixer/xProj/kernel_1',
    'lmHead/kernel',
    'dense_Dense1/kernel',
    'D/kernel',
  ];
  for (const name of exempt) {
    it(`exempts ${name}`, () => expect(isExempt(name)).toBeTrue());
  }
  for (const name of decaying) {
    it(`lets ${name} decay`, () => expect(isExempt(name)).toBeFalse());
  }

  /** Whether a variable of this name decays: with a zero gradient, only decay changes it. */
  async function decays(name: string, noDecay?: string[]): Promise<boolean> {
    const [value] = await afterSteps({learningRate: 0.1, noDecay}, [1], [[0]], name);
    return value !== 1;
  }

  it('is what the optimizer goes by', async () => {
    expect(await decays('ruled/bias_7')).toBeFalse();
    expect(await decays('ruled/kernel_7')).toBeTrue();
  });

  it('can be given as patterns of names without the numbers that TensorFlow.js adds', async () => {
    expect(await decays('first/kernel_7', ['^first/kernel$'])).toBeFalse();
    expect(await decays('second/kernel_7', ['^first/kernel$'])).toBeTrue();
    expect(await decays('third/bias', [])).toBeTrue();
  });
});

describe('adamW inside TensorFlow.js', () => {
  const options = (): AdamWOptions => ({
    schedule: warmupCosine({peak: 0.05, warmupSteps: 3, totalSteps: 40, floor: 0.01}),
    noDecay: ['(^|/)(A_log|my_bias|bias)$', 'norm[^/]*/gamma'],
    clipNorm: 1,
  });

  function compiled(): tf.Sequential {
    const model = regressor();
    model.compile({optimizer: adamW(options()), loss: 'meanSquaredError'});
    return model;
  }

  async function fit(model: tf.LayersModel, epochs: number): Promise<number[]> {
    const xs = tf.tensor2d([0.1, 0.2, 0.3, -1, 1, 0.5, 2, -0.3, 0.4, 0.6, 0.6, -0.9], [4, 3]);
    const ys = tf.tensor2d([1, 0, 0.5, 0.5, -1, 0, 0.2, 0.1], [4, 2]);
    const {history} = await model.fit(xs, ys, {epochs, batchSize: 2, shuffle: false, verbose: 0});
    tf.dispose([xs, ys]);
    return history['loss'] as number[];
  }

  async function saveAndLoad(model: tf.LayersModel): Promise<tf.LayersModel> {
    let artifacts!: tf.io.ModelArtifacts;
    const handler = tf.io.withSaveHandler(async (given) => {
      artifacts = given;
      return {modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given)};
    });
    await model.save(handler, {includeOptimizer: true});
    // As files do: what is not JSON is lost.
    const {weightData, ...json} = artifacts;
    const stored = {...(JSON.parse(JSON.stringify(json)) as tf.io.ModelArtifacts), weightData};
    return tf.loadLayersModel(tf.io.fromMemory(stored));
  }

  it('lowers the loss in model.fit', async () => {
    const losses = await fit(compiled(), 20);
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]);
  });

  it('goes on after save and load as if nothing had happened', async () => {
    const straight = compiled();
    await fit(straight, 3);
    const losses = await fit(straight, 4);

    const stopped = compiled();
    await fit(stopped, 3);
    const loaded = await saveAndLoad(stopped);
    expect(await fit(loaded, 4)).toEqual(losses);
    expect(await numbers(loaded.getWeights())).toEqual(await numbers(straight.getWeights()));
  });

  it('keeps its options, schedule and rule through save and load', async () => {
    const stopped = compiled();
    await fit(stopped, 1);
    const optimizer = (await saveAndLoad(stopped)).optimizer as AdamW;
    expect(optimizer).toBeInstanceOf(AdamW);
    expect(optimizer.getConfig()).toEqual(adamW(options()).getConfig());
    expect(optimizer.noDecay).toEqual(options().noDecay!);
    expect(optimizer.iterations).toBe(2);
    expect(optimizer.learningRateAt(3)).toBe(0.05);
  });

  it('can be saved again before the next step', async () => {
    const stopped = compiled();
    await fit(stopped, 2);
    const once = await saveAndLoad(stopped);
    const twice = await saveAndLoad(once);
    expect(await fit(twice, 2)).toEqual(await fit(stopped, 2));
  });

  it('goes on in a language model that was saved and loaded', async () => {
    const compiledLM = smallLM();
    compiledLM.compile({optimizer: adamW(options())});
    const epochs = (model: tf.LayersModel) => model.fitDataset(windows(), {epochs: 1, batchesPerEpoch: 4, verbose: 0});
    await epochs(compiledLM);
    const loaded = await saveAndLoad(compiledLM);
    expect((await epochs(loaded)).history).toEqual((await epochs(compiledLM)).history);
    expect(await numbers(loaded.getWeights())).toEqual(await numbers(compiledLM.getWeights()));
  });

  it('refuses to save a schedule that is a plain function', () => {
    expect(() => adamW({learningRate: (step) => 1 / step}).getConfig()).toThrowError(/plain function cannot be saved/);
  });

  it('refuses moments of another optimizer or model', async () => {
    const optimizer = adamW({learningRate: 0.1});
    const message = /setWeights takes what getWeights of an adamW gave/;
    const iter = {name: 'iter', tensor: tf.scalar(1, 'int32')};
    const steps = {name: 'steps', tensor: tf.tensor1d([1], 'int32')};
    const zero = (name: string) => ({name, tensor: tf.zeros([2])});
    await expectAsync(optimizer.setWeights([])).toBeRejectedWithError(message);
    await expectAsync(optimizer.setWeights([iter, zero('x/m')])).toBeRejectedWithError(message);
    await expectAsync(optimizer.setWeights([iter, steps, zero('x/m')])).toBeRejectedWithError(message);
    await expectAsync(optimizer.setWeights([iter, steps, zero('x/v'), zero('x/m')])).toBeRejectedWithError(message);

    await optimizer.setWeights([iter, steps, zero('stranger/m'), zero('stranger/v')]);
    const variable = tf.variable(tf.zeros([3]), true, 'stranger_1');
    expect(() => optimizer.applyGradients({[variable.name]: tf.zeros([3])})).toThrowError(
      'adamW: the moments of stranger have shape [2], but the variable stranger_1 has [3]',
    );
  });

  it('leaves nothing behind over 50 steps, saves and dispose', async () => {
    const variable = tf.variable(tf.tensor1d(start));
    const before = tf.memory().numTensors;
    const optimizer = adamW({learningRate: 0.1, clipNorm: 1});
    const loss = () => variable.square().sum<tf.Scalar>();
    optimizer.minimize(loss);
    await optimizer.getWeights();
    const {numTensors, numBytes} = tf.memory();
    for (let i = 0; i < 50; i++) {
      optimizer.minimize(loss);
      await optimizer.getWeights();
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numBytes).toBe(numBytes);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    variable.dispose();
  });
});

describe('a wrong option of adamW', () => {
  const wrong: [object, string][] = [
    [{}, 'adamW: expected either learningRate or schedule, but was given neither'],
    [{learningRate: 1, schedule: () => 1}, 'adamW: expected either learningRate or schedule, but was given both'],
    [{learningRate: -1}, 'adamW: learningRate must be a number of 0 or more, but is -1'],
    [{learningRate: '1e-3'}, 'adamW: learningRate must be a number of 0 or more, but is "1e-3"'],
    [{schedule: 0.1}, 'adamW: schedule must be a function of the step, but is number'],
    [{learningRate: 1, beta1: 1}, 'adamW: beta1 must be a number from 0 to below 1, but is 1'],
    [{learningRate: 1, beta2: -0.1}, 'adamW: beta2 must be a number from 0 to below 1, but is -0.1'],
    [{learningRate: 1, epsilon: -1}, 'adamW: epsilon must be a number of 0 or more, but is -1'],
    [{learningRate: 1, weightDecay: NaN}, 'adamW: weightDecay must be a number of 0 or more, but is NaN'],
    [{learningRate: 1, clipNorm: 0}, 'adamW: clipNorm must be a positive number, but is 0'],
    [{learningRate: 1, noDecay: 'bias'}, 'adamW: noDecay must be a list of name patterns (strings)'],
    [{learningRate: 1, noDecay: ['(']}, 'adamW: noDecay must hold regular expressions, but Invalid regular expression'],
    [{learningRate: 1, amsgrad: true}, 'adamW: unknown argument amsgrad'],
  ];
  for (const [options, message] of wrong) {
    it(`is named: ${message}`, () => {
      expect(() => adamW(options)).toThrowMatching((error: Error) => error.message.startsWith(message));
    });
  }
});
