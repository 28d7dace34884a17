/** The language model as a `tf.LayersModel`: structure, start of the weights, fitting with integer labels, metrics. */
import * as tf from '@tensorflow/tfjs';
import {weightTable} from '../../src/config/weightTable';
import type {MambaConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import type {MambaCompileArgs, MambaLMOptions, MambaLM} from '../../src/lm/model';
import {drawNormal} from '../../src/draw';
import {mambaLM} from '../../src/lm/model';
import {seedFor} from '../../src/mixers/initializers';
import {adamW} from '../../src/training/adamW';
import {tokenWindows} from '../../src/training/data';
import {backendSettings} from '../support/settings';
import {int32, labelled, lossAndAccuracy, scalars, weightValues} from './labelled';
import {smallConfig, smallModel} from './smallModel';

/** Unlike in everything that decides which weights there are. */
const variants: Array<Partial<MambaConfig>> = [
  {},
  {tieEmbeddings: false},
  {tieEmbeddings: false, useBias: true, dConv: 3, nLayer: 3},
  {convBias: false, dtRank: 3, expand: 1.5},
];

const sgd = () => tf.train.sgd(0.5);

/** Expects numbers that agree within the backend's tolerance. */
function expectClose(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(
      backendSettings().output * Math.max(1, Math.abs(expected[i])),
    );
  });
}

describe('MambaLM', () => {
  for (const variant of variants) {
    it(`has the weights, names and count of parameters of ${JSON.stringify(variant)}`, () => {
      const before = tf.memory();
      const model = smallModel(variant);
      expect(model).toBeInstanceOf(tf.LayersModel);
      const names = Array.from(weightTable(model.config), ({ours}) => ours);
      expect([...model.weightsByName().keys()].sort()).toEqual(names.sort());
      expect(model.countParams()).toBe(countParameters(model.config));
      expect(tf.memory().numTensors - before.numTensors).toBe(names.length);
      expect(tf.memory().numBytes - before.numBytes).toBe(4 * countParameters(model.config));
      const lines: string[] = [];
      model.summary(undefined, undefined, (line) => lines.push(String(line)));
      expect(lines.join('\n')).toContain(`Total params: ${countParameters(model.config)}`);
      expect(model.outputs[0].shape).toEqual([null, null, 16]);
      expect(model.inputs[0].dtype).toBe('int32');

      expect(model.dispose().numDisposedVariables).toBe(names.length);
      expect(tf.memory().numTensors).toBe(before.numTensors);
    });
  }

  it('names its weights the same in a second model of the process, which is another model', async () => {
    const [one, other] = [smallModel(), smallModel()];
    expect([...other.weightsByName().keys()]).toEqual([...one.weightsByName().keys()]);
    other.compile({optimizer: sgd()});
    const {xs, ys} = labelled(1, [2, 5]);
    const before = await weightValues(one);
    await other.trainOnBatch(xs, ys);
    expect(await weightValues(one)).toEqual(before);
    expect(await weightValues(other)).not.toEqual(before);
    one.dispose();
    const out = other.predict(xs) as tf.Tensor;
    expect(out.shape).toEqual([2, 5, 16]);
    tf.dispose([out, xs, ys]);
    other.dispose();
  });

  it('starts as the paper says: embedding N(0, 0.02²), out_proj divided by √nLayer, a head like any linear map', async () => {
    const model = smallModel({vocabSize: 700, dModel: 24, nLayer: 4, tieEmbeddings: false});
    const weights = await weightValues(model);
    const {dInner, nLayer, dModel} = model.config;
    model.dispose();

    const table = weights['embeddings/weight'];
    const mean = table.reduce((a, b) => a + b, 0) / table.length;
    const deviation = Math.sqrt(table.reduce((sum, x) => sum + (x - mean) ** 2, 0) / table.length);
    expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(table.length));
    expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(5 / Math.sqrt(2 * table.length));
    expect(Math.max(...table.map(Math.abs))).toBeGreaterThan(0.05); // has the tails of a normal distribution

    const expectUniform = (name: string, bound: number) => {
      const largest = weights[name].reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      expect(largest)
        .withContext(name)
        .toBeLessThanOrEqual(bound * 1.000001);
      expect(largest)
        .withContext(name)
        .toBeGreaterThan(bound * (1 - 20 / weights[name].length));
    };
    for (let i = 0; i < nLayer; i++) {
      expectUniform(`layers.${i}/mixer/outProj/kernel`, 1 / Math.sqrt(dInner * nLayer));
      expectUniform(`layers.${i}/mixer/inProj/kernel`, 1 / Math.sqrt(dModel));
    }
    expectUniform('lmHead/kernel', 1 / Math.sqrt(dModel));
  });

  it('starts the same with the same seed, otherwise differently, and no two random weights alike', async () => {
    const started = async (seed?: number) => {
      const model = mambaLM({...smallConfig, tieEmbeddings: false}, seed === undefined ? {} : {seed});
      const weights = await weightValues(model);
      model.dispose();
      return weights;
    };
    const one = await started(1);
    expect(await started(1)).toEqual(one);
    for (const others of [await started(2), await started()]) {
      expect(others['embeddings/weight']).not.toEqual(one['embeddings/weight']);
      expect(others['layers.1/mixer/xProj/kernel']).not.toEqual(one['layers.1/mixer/xProj/kernel']);
    }
    // The same bits on every backend, wherever they were drawn.
    const table = one['embeddings/weight'];
    expect(table).toEqual(drawNormal(table.length, 0.02, seedFor(seedFor(1, 'embeddings'), 'weight')));
    // A seed used twice shows as equal draws, whatever the ranges: ratios of neighbours are the same.
    const random = Object.entries(one).filter(([name]) => /kernel|conv|embeddings/.test(name));
    const prints = random.map(([, values]) => (values[0] / values[1]).toPrecision(4));
    expect(new Set(prints).size).toBe(random.length);
    expect(random.length).toBeGreaterThan(12);
  });

  it('is an error with a wrong configuration or option, before anything is made', () => {
    const before = tf.memory().numTensors;
    const wrong: Array<[object, object, RegExp]> = [
      [{...smallConfig, dModel: 0}, {}, /^MambaConfig: dModel must be a positive integer, but is 0/],
      [smallConfig, {sed: 1}, /^mambaLM: unknown argument sed; expected seed, name/],
      [smallConfig, {seed: NaN}, /^mambaLM: seed must be a number, but is NaN/],
    ];
    for (const [config, options, message] of wrong) {
      expect(() => mambaLM(config as MambaConfig, options as MambaLMOptions)).toThrowError(message);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('MambaLM in training', () => {
  let model: MambaLM;
  let compiled: tf.Optimizer[] = [];

  /** The optimizer is disposed at the end. */
  function compile(args: Partial<MambaCompileArgs> = {}, target = model): void {
    const optimizer = (args.optimizer as tf.Optimizer | undefined) ?? sgd();
    compiled.push(optimizer);
    target.compile({...args, optimizer});
  }

  let before: number;
  beforeEach(() => {
    before = tf.memory().numTensors;
    model = smallModel();
  });
  afterEach(() => {
    model.dispose();
    compiled.forEach((optimizer) => optimizer.dispose());
    compiled = [];
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is evaluated by cross entropy and accuracy over the labels that count', async () => {
    for (const ignoreIndex of [undefined, -1, 4]) {
      const data = labelled(2, [5, 7], ignoreIndex ?? -100);
      compile({metrics: ['accuracy'], ...(ignoreIndex !== undefined && {ignoreIndex})});
      expect(model.metricsNames).toEqual(['loss', 'acc']);
      const actual = await scalars(model.evaluate(data.xs, data.ys));
      expectClose(actual, await lossAndAccuracy(model, data, ignoreIndex));
      tf.dispose([data.xs, data.ys]);
    }
  });

  it('has a loss and an accuracy of 0 where no label counts', async () => {
    compile({metrics: 'accuracy'});
    const [xs, ys] = [int32([[1, 2, 3]]), int32([[-100, -100, -100]])];
    expect(await scalars(model.evaluate(xs, ys) as tf.Scalar[])).toEqual([0, 0]);
    tf.dispose([xs, ys]);
  });

  it('counts as right what is the likeliest token, and nothing else', async () => {
    compile({metrics: {[model.outputNames[0]]: 'acc'}});
    const {xs, ys} = labelled(3, [3, 6]);
    const best = tf.tidy(() => (model.predict(xs) as tf.Tensor).argMax(-1).toInt());
    const half = tf.tidy(() => tf.where(int32([[1, 0, 1, 0, 1, 0]]).cast('bool'), best, best.add(1).mod(16).toInt()));
    const accuracy = async (labels: tf.Tensor) => (await scalars(model.evaluate(xs, labels)))[1];
    expect(await accuracy(best)).toBe(1);
    expectClose([await accuracy(half)], [0.5]);
    // A right answer where the label does not count: the others are wrong.
    const answers = [...(await best.data())];
    const [ignoreIndex] = answers;
    const others = answers.map((id) =>
      id === ignoreIndex ? id : [0, 1, 2].find((x) => x !== id && x !== ignoreIndex)!,
    );
    const wrong = tf.tensor2d(others, [3, 6], 'int32');
    compile({metrics: ['accuracy'], ignoreIndex});
    expect(await accuracy(wrong)).toBe(0);
    wrong.dispose();
    tf.dispose([xs, ys, best, half]);
  });

  it('learns a text by fit', async () => {
    compile({optimizer: adamW({learningRate: 0.02}), metrics: ['accuracy']});
    const row = Array.from({length: 24}, (_, i) => i % 8);
    const xs = int32([row, row.map((id) => (id + 3) % 8)]);
    const ys = tf.tidy(() => xs.add(tf.scalar(1, 'int32')).mod(tf.scalar(8, 'int32')).toInt());
    const {history} = await model.fit(xs, ys, {epochs: 60, verbose: 0});
    expect(history['loss'][0]).toBeGreaterThan(2);
    expect(history['loss'][59]).toBeLessThan(0.3);
    expect(history['acc'][59]).toBeGreaterThan(0.95);
    tf.dispose([xs, ys]);
  });

  it('gives the same weights by fit, trainOnBatch and fitDataset', async () => {
    const {ids, labels, xs, ys} = labelled(4, [6, 5], -100);
    const batches = [0, 2, 4].map((row) => ({
      xs: int32(ids.slice(row, row + 2)),
      ys: int32(labels.slice(row, row + 2)),
    }));
    const ways: Array<(target: MambaLM) => Promise<unknown>> = [
      (target) => target.fit(xs, ys, {batchSize: 2, shuffle: false, epochs: 2, verbose: 0}),
      async (target) => {
        for (const batch of [...batches, ...batches]) await target.trainOnBatch(batch.xs, batch.ys);
      },
      // tf.data makes float32 tensors of plain arrays.
      (target) =>
        target.fitDataset(tf.data.array(ids.map((row, i) => ({xs: row, ys: labels[i]}))).batch(2), {
          epochs: 2,
          verbose: 0,
        }),
    ];
    const results = [];
    for (const way of ways) {
      const target = smallModel();
      compile({optimizer: adamW({learningRate: 0.01})}, target);
      await way(target);
      results.push(await weightValues(target));
      target.dispose();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    tf.dispose([xs, ys, batches]);
  });

  it('validates with validationSplit and with validationData', async () => {
    const {xs, ys, ids, labels} = labelled(5, [8, 6]);
    const held = {xs: int32(ids.slice(6)), labels: labels.slice(6)};
    const heldLabels = int32(held.labels);
    compile({metrics: ['accuracy']});
    const options = {epochs: 1, batchSize: 3, verbose: 0};
    for (const validation of [
      {validationSplit: 0.25},
      {validationData: [held.xs, heldLabels] as [tf.Tensor, tf.Tensor]},
    ]) {
      const {history} = await model.fit(xs, ys, {...options, ...validation});
      const wanted = await lossAndAccuracy(model, held);
      expectClose([history['val_loss'][0] as number, history['val_acc'][0] as number], wanted);
    }
    tf.dispose([xs, ys, held.xs, heldLabels]);
  });

  it('takes token windows in fitDataset and evaluateDataset', async () => {
    const tokens = Array.from({length: 60}, (_, i) => (i * i) % 11);
    const windows = () =>
      tokenWindows(tokens, {batchSize: 2, length: 7, order: 'sequential'}) as unknown as tf.data.Dataset<{
        xs: tf.Tensor;
        ys: tf.Tensor;
      }>;
    compile({optimizer: adamW({learningRate: 0.02}), metrics: ['accuracy']});
    const [loss] = await scalars(await model.evaluateDataset(windows(), {}));
    const {history} = await model.fitDataset(windows(), {epochs: 5, validationData: windows(), verbose: 0});
    const [later] = await scalars(await model.evaluateDataset(windows(), {}));
    expect(later).toBeLessThan(loss);
    expect(history['val_loss'][4]).toBeCloseTo(later, 5);
  });

  it('takes another loss: one of tfjs by its name, or a function', async () => {
    const {xs, ys} = labelled(6, [2, 4]);
    const targets = tf.randomNormal([2, 4, 16], 0, 1, 'float32', 5);
    const squares = (wanted: tf.Tensor, logits: tf.Tensor) => wanted.sub(logits).square().mean();
    const expected = await scalars(tf.tidy(() => squares(targets, model.predict(xs) as tf.Tensor)) as tf.Scalar);
    for (const loss of ['meanSquaredError', squares]) {
      compile({loss});
      expectClose(await scalars(model.evaluate(xs, targets)), expected);
      expect(() => model.evaluate(xs, ys)).toThrowError(/target/);
    }
    tf.dispose([xs, ys, targets]);
  });

  it('has the loss it is compiled with last, and keeps ignoreIndex', async () => {
    const data = labelled(7, [2, 6], 3);
    compile({ignoreIndex: 3});
    compile({loss: 'meanSquaredError'});
    compile({loss: 'crossEntropy', metrics: ['accuracy']});
    const actual = await scalars(model.evaluate(data.xs, data.ys));
    expectClose(actual, await lossAndAccuracy(model, data, 3));
    tf.dispose([data.xs, data.ys]);
  });

  it('does not train what is frozen', async () => {
    model.getLayer('layers.0').trainable = false;
    compile();
    const start = await weightValues(model);
    const {xs, ys} = labelled(8, [2, 4]);
    await model.trainOnBatch(xs, ys);
    const end = await weightValues(model);
    for (const name of Object.keys(start)) {
      const [actual, wanted] = [expect(end[name]).withContext(name), start[name]];
      if (name.startsWith('layers.0/')) actual.toEqual(wanted);
      else actual.not.toEqual(wanted);
    }
    tf.dispose([xs, ys]);
  });

  it('holds no more tensors after 50 steps than after one, nor after a step that fails', async () => {
    compile({optimizer: adamW({learningRate: 0.01, clipNorm: 1}), metrics: ['accuracy']});
    const {xs, ys} = labelled(9, [2, 8], -100);
    const one = {batchSize: 2, epochs: 1, verbose: 0};
    await model.fit(xs, ys, one);
    const {numTensors, numBytes} = tf.memory();
    await model.fit(xs, ys, {...one, epochs: 49});
    await model.trainOnBatch(xs, ys);
    const wrong = int32([Array<number>(8).fill(99), Array<number>(8).fill(99)]);
    if (backendSettings().refusesValues) {
      await expectAsync(model.fit(wrong, ys, one)).toBeRejectedWithError(
        /^MambaLM: ids must lie in \[0, 16\) but has 99/,
      );
      await expectAsync(model.trainOnBatch(xs, wrong)).toBeRejectedWithError(
        /^MambaLM: labels must lie in \[0, 16\).* has 99/,
      );
      expect(() => model.evaluate(xs, wrong)).toThrowError(/^MambaLM: labels must lie in/);
      expect(() => model.predict(wrong)).toThrowError(/^embedding: ids must lie in/);
    }
    wrong.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numBytes).toBe(numBytes);
    tf.dispose([xs, ys]);
  });

  it('names the argument that is wrong', async () => {
    const {xs, ys} = labelled(10, [2, 4]);
    const [short, flat] = [int32([[1, 2]]), tf.tensor1d([1, 2], 'int32')];
    await expectAsync(model.fit(xs, ys)).toBeRejectedWithError(/must compile a model/);
    expect(() => compile({ignoreIndex: 0.5})).toThrowError(/^compile: ignoreIndex must be an integer, but is 0.5/);
    compile();
    const wrong: Array<[unknown, unknown, RegExp]> = [
      [xs, short, /^MambaLM: labels must have the shape of ids, \[2,4\], but has \[1,2\]/],
      [flat, flat, /^MambaLM: ids must have rank 2, \[batch, length\], but has shape \[2\]/],
      [xs, [ys, ys], /^MambaLM: labels must be one tensor/],
      [xs, undefined, /^MambaLM: labels must be one tensor/],
      [[[1, 2]], ys, /^MambaLM: ids must be one tensor/],
    ];
    for (const [ids, labels, message] of wrong) {
      await expectAsync(model.fit(ids as tf.Tensor, labels as tf.Tensor, {verbose: 0})).toBeRejectedWithError(message);
      await expectAsync(model.trainOnBatch(ids as tf.Tensor, labels as tf.Tensor)).toBeRejectedWithError(message);
      expect(() => model.evaluate(ids as tf.Tensor, labels as tf.Tensor)).toThrowError(message);
    }
    tf.dispose([xs, ys, short, flat]);
  });
});
