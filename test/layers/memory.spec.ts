/** Nothing is left behind: by training, by steps, by calls of a stateful layer, by making and disposing of layers. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import {built, recurrentLayers} from './layerUnderTest';

const dModel = 4;
const sizes: MambaLayerArgs = {dState: 2, dConv: 3, seed: 1};
const sequence = () => tf.randomNormal([2, 5, dModel], 0, 1, 'float32', 1);

/** The tensors after each of 50 rounds; all rounds must leave the same number, which is that after the first. */
async function countsOver50(round: () => unknown): Promise<number[]> {
  const counts = new Set<number>();
  for (let i = 0; i < 50; i++) {
    await round();
    counts.add(tf.memory().numTensors);
  }
  return [...counts];
}

describe('the number of tensors', () => {
  for (const [kind, make] of Object.entries(recurrentLayers)) {
    it(`stays the same over 50 steps of training a model of ${kind}, and returns on dispose`, async () => {
      const before = tf.memory().numTensors;
      const optimizer = tf.train.adam(0.01);
      const model = tf.sequential({
        layers: [
          tf.layers.masking({maskValue: 9, inputShape: [5, dModel]}),
          make({...sizes, useBias: true}),
          tf.layers.bidirectional({layer: make(sizes)}),
          layers.causalConv1d({kernelSize: 2}),
          layers.rmsNormalization(),
          make({...sizes, returnSequences: false, goBackwards: true}),
        ],
      });
      model.compile({optimizer, loss: 'meanSquaredError'});
      const x = sequence();
      const y = tf.ones([2, 2 * dModel]);
      const counts = await countsOver50(() => model.trainOnBatch(x, y));
      expect(counts.length).toBe(1);
      tf.dispose([x, y]);
      model.dispose();
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it(`stays the same over 50 steps of ${kind}#step, which disposes of nothing it is given`, async () => {
      const layer = built(make(sizes) as Mamba, dModel);
      const before = tf.memory().numTensors;
      const x = tf.ones<tf.Rank.R2>([2, dModel]);
      let state = layer.zeroState(2);
      const counts = await countsOver50(() => {
        const {y, state: next} = layer.step(x, state);
        expect(state.conv.isDisposed || state.ssm.isDisposed).toBeFalse();
        tf.dispose([y, state.conv, state.ssm]);
        state = next;
      });
      expect(counts).toEqual([before + 3]);
      tf.dispose([x, state.conv, state.ssm]);
      layer.dispose();
    });

    it(`stays the same over 50 calls of a stateful ${kind}, and returns with resetStates or dispose`, async () => {
      const before = tf.memory().numTensors;
      const layer = built(make({...sizes, stateful: true}) as Mamba, dModel);
      const whenBuilt = tf.memory().numTensors;
      const x = sequence();
      const counts = await countsOver50(() => tf.dispose(layer.apply(x) as tf.Tensor));
      expect(counts).toEqual([whenBuilt + 3]);
      layer.resetStates();
      expect(tf.memory().numTensors).toBe(whenBuilt + 1);
      tf.dispose([x, layer.apply(x) as tf.Tensor]);
      layer.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it(`stays the same over 50 steps of training a stateful ${kind}`, async () => {
      const model = tf.sequential({layers: [make({...sizes, stateful: true, batchInputShape: [2, 5, dModel]})]});
      model.compile({optimizer: tf.train.sgd(0.01), loss: 'meanSquaredError'});
      const [x, y] = [sequence(), sequence()];
      expect((await countsOver50(() => model.trainOnBatch(x, y))).length).toBe(1);
      tf.dispose([x, y]);
      model.dispose();
    });

    it(`returns after a ${kind} with masks and states was refused its input`, () => {
      const layer = built(make({...sizes, stateful: true}) as Mamba, dModel);
      const before = tf.memory().numTensors;
      const [x, mask] = [sequence(), tf.ones([2, 4])];
      expect(() => layer.apply(x, {mask})).toThrowError(/mask/);
      tf.dispose([x, mask]);
      expect(tf.memory().numTensors).toBe(before);
      layer.dispose();
    });
  }
});
