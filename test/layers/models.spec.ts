/** The layers as parts of models: made in both ways, trained, described, frozen. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import type {MambaLayerArgs} from '../../src/layers/mamba';
import type {Arrays} from '../support/arrays';
import {integer, normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {
  built,
  evaluateLayer,
  nameOf,
  readWeights,
  recurrentLayers,
  setWeights,
  tidySpecs,
  trainedWeights,
} from './layerUnderTest';

const dModel = 6;

/** The number of weights of a mixer, counted from its definition. */
function mixerSize({dState, dConv, dInner, dtRank, convBias, useBias}: Required<MambaLayerArgs>): number {
  return [
    dModel * 2 * dInner + (useBias ? 2 * dInner : 0), // into x and z
    dInner * dConv + (convBias ? dInner : 0),
    dInner * ((dtRank as number) + 2 * dState), // to dt, B and C
    (dtRank as number) * dInner + dInner,
    dInner * dState + dInner, // A and D
    dInner * dModel + (useBias ? dModel : 0),
  ].reduce((a, b) => a + b);
}

/** Ids of a small selective copy: two of the tokens 1 … 4 among zeros; the label is the first of them. */
function firstToken(count: number, length: number, seed: number): {x: tf.Tensor3D; labels: tf.Tensor2D} {
  const random = seededRandom(seed);
  const ids: number[][] = [];
  const labels: number[] = [];
  for (let i = 0; i < count; i++) {
    const row = Array<number>(length).fill(0);
    const first = integer(random, 0, length - 2);
    const second = integer(random, first + 1, length - 1);
    row[first] = integer(random, 1, 4);
    row[second] = 1 + (row[first] % 4);
    ids.push(row);
    labels.push(row[first] - 1);
  }
  return tf.tidy(() => ({
    x: tf.oneHot(tf.tensor2d(ids, [count, length], 'int32'), 5).toFloat() as tf.Tensor3D,
    labels: tf.oneHot(tf.tensor1d(labels, 'int32'), 4).toFloat() as tf.Tensor2D,
  }));
}

const dense = (args: {units: number; activation?: 'softmax'; inputShape?: tf.Shape}) =>
  tf.layers.dense({...args, kernelInitializer: tf.initializers.glorotUniform({seed: 3})});

describe('a model', () => {
  tidySpecs();
  const x = () => toTensor(normal(seededRandom(randomSeed), [2, 7, dModel]));

  it('of tf.sequential is its layers one after the other', async () => {
    const stack = [
      layers.mamba({inputShape: [7, dModel], dState: 3}),
      layers.mambaBlock({dState: 2}),
      layers.causalConv1d({kernelSize: 3, activation: 'silu'}),
      layers.rmsNormalization(),
      layers.mamba({dState: 2, returnSequences: false}),
    ];
    const model = tf.sequential({layers: stack});
    expect(model.outputs[0].shape).toEqual([null, dModel]);
    const expected = stack.reduce((h, layer) => layer.apply(h) as tf.Tensor, x());
    const read = await readAndDispose({actual: model.predict(x()) as tf.Tensor, expected: expected.clone()});
    expect(mismatches({y: read.actual}, {y: read.expected}, 0)).toEqual([]);
  });

  it('of the functional API may share a layer, join branches, and leave the length open', async () => {
    const shared = layers.mamba({dState: 2});
    const [a, b] = [tf.input({shape: [null, dModel]}), tf.input({shape: [null, dModel]})];
    const sum = tf.layers.add().apply([shared.apply(a) as tf.SymbolicTensor, shared.apply(b) as tf.SymbolicTensor]);
    const outputs = layers.rmsNormalization().apply(sum) as tf.SymbolicTensor;
    const model = tf.model({inputs: [a, b], outputs});
    expect(model.countParams()).toBe(shared.countParams() + dModel);
    for (const length of [1, 7]) {
      const part = x().slice([0, 0, 0], [2, length, dModel]);
      const {y} = await readAndDispose({y: model.predict([part, part]) as tf.Tensor});
      const doubled = (shared.apply(part) as tf.Tensor).mul(2);
      const expected = layers.rmsNormalization().apply(doubled) as tf.Tensor;
      expect(mismatches({y}, await readAndDispose({y: expected.clone()}), backendSettings().output)).toEqual([]);
    }
  });

  for (const [kind, make] of Object.entries(recurrentLayers)) {
    it(`of ${kind} learns which of two tokens came first`, async () => {
      const model = tf.sequential({
        layers: [
          dense({units: 8, inputShape: [10, 5]}),
          make({dState: 4, seed: 1}),
          layers.rmsNormalization(),
          make({dState: 4, seed: 2, returnSequences: false}),
          layers.rmsNormalization(),
          dense({units: 4, activation: 'softmax'}),
        ],
      });
      model.compile({optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy', metrics: ['accuracy']});
      const train = firstToken(256, 10, randomSeed);
      const {history} = await model.fit(train.x, train.labels, {epochs: 12, batchSize: 32, shuffle: false, verbose: 0});
      const losses = history.loss as number[];
      expect(losses[0]).toBeGreaterThan(1);
      expect(losses.at(-1)).toBeLessThan(0.1);
      const test = firstToken(128, 10, randomSeed + 1);
      const [, accuracy] = model.evaluate(test.x, test.labels) as tf.Scalar[];
      // One in four by chance; one in two by which tokens there are, without their order.
      expect((await accuracy.data())[0]).toBeGreaterThan(0.95);
    });

    it(`prints ${kind} in its summary, with the number of its weights`, () => {
      const layer = make({name: 'mixer', inputShape: [7, dModel]});
      const model = tf.sequential({layers: [layer]});
      const lines: string[] = [];
      model.summary(undefined, undefined, (line) => lines.push(line));
      const text = lines.join('\n');
      expect(text).toMatch(new RegExp(`mixer \\(${kind}\\)[^\\n]*\\[null,7,6\\][^\\n]* ${layer.countParams()} `));
      expect(text).toContain(`Trainable params: ${layer.countParams()}`);
    });

    for (const args of [
      {dState: 16, dConv: 4, dInner: 12, dtRank: 1, convBias: true, useBias: false},
      {dState: 1, dConv: 1, dInner: 5, dtRank: 3, convBias: false, useBias: true},
    ]) {
      it(`counts the weights of ${kind} with ${JSON.stringify(args)}`, () => {
        const layer = built(make(args), dModel);
        const norm = kind === 'MambaBlock' ? dModel : 0;
        expect(layer.countParams()).toBe(mixerSize(args as Required<MambaLayerArgs>) + norm);
      });
    }

    it(`of ${kind} takes its weights from the option of every layer`, async () => {
      const one = built(make({dState: 2, useBias: true}), dModel);
      const two = built(make({dState: 2, useBias: true, weights: one.getWeights()}), dModel);
      expect(await readWeights(two)).toEqual(await readWeights(one));
    });
  }
});

describe('freezing', () => {
  tidySpecs();
  const frozen = {
    Mamba: () => layers.mamba({dState: 2, useBias: true}),
    MambaBlock: () => layers.mambaBlock({dState: 2, useBias: true}),
    CausalConv1D: () => layers.causalConv1d({kernelSize: 2}),
  };

  for (const [kind, make] of Object.entries(frozen)) {
    const outputs = async (layer: tf.layers.Layer, x: Arrays) => {
      const run = (inputs: Record<string, tf.Tensor>) => ({y: layer.apply(inputs.x) as tf.Tensor});
      return evaluateLayer(layer, run, x, {y: x.x});
    };

    it(`any one weight of ${kind} changes no output, and keeps it in training`, async () => {
      const x = {x: normal(seededRandom(randomSeed), [2, 5, dModel])};
      const layer = built(make(), dModel);
      setWeights(layer, trainedWeights(layer, seededRandom(randomSeed)));
      const before = await outputs(layer, x);
      for (const [name, weight] of layer.weights.map((weight) => [nameOf(layer, weight), weight] as const)) {
        weight.trainable = false;
        const after = await outputs(layer, x);
        expect(mismatches(after.outputs, before.outputs, 0)).toEqual([]);
        const {[name]: none, ...others} = before.gradients;
        expect(none).toBeDefined();
        expect(mismatches(after.gradients, others, 0)).toEqual([]);
        expect(layer.trainableWeights).not.toContain(weight);
        weight.trainable = true;
      }
    });

    it(`the whole of ${kind} keeps its weights in training`, async () => {
      const layer = make();
      const model = tf.sequential({layers: [dense({units: dModel, inputShape: [5, dModel]}), layer]});
      layer.trainable = false;
      model.compile({optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError'});
      const [before, other] = [await readWeights(layer), await readWeights(model.layers[0])];
      const x = toTensor(normal(seededRandom(randomSeed), [2, 5, dModel]));
      await model.trainOnBatch(x, x);
      expect(await readWeights(layer)).toEqual(before);
      expect(await readWeights(model.layers[0])).not.toEqual(other);
    });
  }
});
