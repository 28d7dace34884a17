/** tf.layers.bidirectional around a recurrent layer: both directions, merged in every way, with states and with masks. */
import * as tf from '@tensorflow/tfjs';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {built, recurrentLayers, tidySpecs} from './layerUnderTest';

const dModel = 5;
const batch = 2;
const length = 6;

const merged: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor[]> = {
  concat: (a, b) => [tf.concat([a, b], -1)],
  sum: (a, b) => [a.add(b)],
  ave: (a, b) => [a.add(b).div(2)],
  mul: (a, b) => [a.mul(b)],
  null: (a, b) => [a, b],
};

async function expectClose(actual: tf.Tensor[], expected: tf.Tensor[]): Promise<void> {
  const read = (list: tf.Tensor[]) => readAndDispose(Object.fromEntries(list.map((t) => t.clone()).entries()));
  expect(expected.length).toBeGreaterThan(0);
  expect(mismatches(await read(actual), await read(expected), backendSettings().output)).toEqual([]);
}

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`bidirectional ${kind}`, () => {
    tidySpecs();
    const x = () => toTensor(normal(seededRandom(randomSeed), [batch, length, dModel]));

    /** The wrapper, and its two directions as layers of their own. */
    function directions(args: MambaLayerArgs, mergeMode = 'concat') {
      const layer = make({dState: 3, dConv: 3, ...args});
      const both = tf.layers.bidirectional({layer, mergeMode: (mergeMode === 'null' ? null : mergeMode) as 'concat'});
      built(both, dModel);
      const weights = both.getWeights();
      const alone = (goBackwards: boolean, values: tf.Tensor[]) => {
        const direction = built(make({dState: 3, dConv: 3, ...args, goBackwards}) as Mamba, dModel);
        direction.setWeights(values);
        return direction;
      };
      const half = weights.length / 2;
      return {both, forward: alone(false, weights.slice(0, half)), backward: alone(true, weights.slice(half))};
    }

    for (const [mergeMode, merge] of Object.entries(merged)) {
      for (const returnSequences of [true, false]) {
        it(`merges by ${mergeMode}, returnSequences ${returnSequences}, with the states of both`, async () => {
          const {both, forward, backward} = directions({returnSequences, returnState: true}, mergeMode);
          const [a, ...statesA] = forward.apply(x()) as tf.Tensor[];
          const [b, ...statesB] = backward.apply(x()) as tf.Tensor[];
          const expected = [...merge(a, returnSequences ? b.reverse(1) : b), ...statesA, ...statesB];
          await expectClose(both.apply(x()) as tf.Tensor[], expected);
          const announced = both.computeOutputShape([batch, length, dModel]);
          expect(announced).toEqual(expected.map(({shape}) => shape));
        });
      }

      it(`merges by ${mergeMode} without the states`, async () => {
        const {both, forward, backward} = directions({}, mergeMode);
        const [a, b] = [forward.apply(x()) as tf.Tensor, backward.apply(x()) as tf.Tensor];
        await expectClose([both.apply(x()) as tf.Tensor | tf.Tensor[]].flat(), merge(a, b.reverse(1)));
      });
    }

    it('starts both directions from the states it is given, at once or in a model', async () => {
      const {both, forward, backward} = directions({returnState: true});
      const random = seededRandom(randomSeed + 1);
      const states = [forward, backward].flatMap(({mixerConfig: {dInner, dConv, dState}}) => [
        toTensor(normal(random, [batch, dConv - 1, dInner])),
        toTensor(normal(random, [batch, dInner, dState])),
      ]);
      const [a, ...statesA] = forward.apply([x(), states[0], states[1]]) as tf.Tensor[];
      const [b, ...statesB] = backward.apply([x(), states[2], states[3]]) as tf.Tensor[];
      const expected = [tf.concat([a, b.reverse(1)], -1), ...statesA, ...statesB];
      await expectClose(both.apply(x(), {initialState: states}) as tf.Tensor[], expected);
      const inputs = [x(), ...states].map(({shape}) => tf.input({shape: shape.slice(1)}));
      const model = tf.model({inputs, outputs: both.apply(inputs) as tf.SymbolicTensor[]});
      await expectClose(model.predict([x(), ...states]) as tf.Tensor[], expected);
    });

    it('may begin a model with symbolic states', () => {
      const layer = make({dState: 3, dConv: 3});
      const shapes = [
        [length, dModel],
        [2, 10],
        [10, 3],
        [2, 10],
        [10, 3],
      ];
      const inputs = shapes.map((shape) => tf.input({shape}));
      const outputs = tf.layers.bidirectional({layer}).apply(inputs) as tf.SymbolicTensor;
      expect(outputs.shape).toEqual([null, length, 2 * dModel]);
    });

    it('of a padded batch gives on real positions what each row gives alone', async () => {
      const {both, forward, backward} = directions({});
      const mask = [
        [1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1],
      ];
      const [from, size] = [
        [0, 1],
        [4, 5],
      ];
      const y = both.apply(x(), {mask: tf.tensor2d(mask)}) as tf.Tensor;
      const real = (t: tf.Tensor, b: number) => t.slice([b, from[b], 0], [1, size[b], t.shape[2]!]);
      const alone = [0, 1].map((b) => {
        const row = real(x(), b);
        return tf.concat([forward.apply(row) as tf.Tensor, (backward.apply(row) as tf.Tensor).reverse(1)], -1);
      });
      await expectClose([real(y, 0), real(y, 1)], alone);
    });

    it('carries states and forgets them, where the layer is stateful', async () => {
      const {both, forward, backward} = directions({stateful: true});
      expect(both.stateful).toBeTrue();
      const run = () => both.apply(x()) as tf.Tensor;
      const expected = () =>
        tf.concat([forward.apply(x()) as tf.Tensor, (backward.apply(x()) as tf.Tensor).reverse(1)], -1);
      const [first, second] = [run(), run()];
      await expectClose([first, second], [expected(), expected()]);
      both.resetStates();
      await expectClose([run()], [first]);
    });
  });
}
