/** Activation checkpointing: the same gradients, bit for bit, from a fraction of the memory. */
import * as tf from '@tensorflow/tfjs';
import {addAdapter} from '../../src/adapters';
import {layers} from '../../src';
import type {MambaLM} from '../../src/lm/model';
import type {Batch} from '../../src/training/data';
import {nextToken, stepGradients} from '../../src/training/gradients';
import {trainer} from '../../src/training/trainer';
import {smallModel} from '../lm/smallModel';
import {labelled} from '../lm/labelled';
import {seededRandom} from '../support/arrays';
import {numbers, regressor} from './models';
import {optimizer} from './runs';

const models: Record<string, () => MambaLM> = {
  Mamba: () => smallModel(),
  'Mamba-2': () => smallModel({mixer: 'mamba2', headDim: 4, dState: 5}),
};

async function gradients(
  model: tf.LayersModel,
  batch: Batch,
  gradCheckpoint: boolean,
): Promise<Record<string, number[]>> {
  const byName = tf.tidy(() => stepGradients(model, [batch], nextToken, {gradCheckpoint}).gradients);
  const names = Object.keys(byName);
  const values = await numbers(Object.values(byName));
  tf.dispose(byName);
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

describe('gradCheckpoint', () => {
  for (const [name, make] of Object.entries(models)) {
    it(`gives the gradients of a ${name} model bit for bit, of packed rows too, and leaves nothing behind`, async () => {
      const model = make();
      const {xs, ys} = labelled(3, [2, 70], -100);
      const sequenceIds = tf.tensor2d(
        Array.from({length: 140}, (_, i) => Math.floor(i / 23)),
        [2, 70],
        'int32',
      );
      for (const batch of [
        {xs, ys},
        {xs, ys, sequenceIds},
      ]) {
        const expected = await gradients(model, batch, false);
        const before = tf.memory().numTensors;
        expect(await gradients(model, batch, true)).toEqual(expected);
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  }

  it('trains layers of which some are frozen', async () => {
    const model = smallModel();
    model.layers[2].trainable = false;
    const {xs, ys} = labelled(3, [2, 20]);
    expect(await gradients(model, {xs, ys}, true)).toEqual(await gradients(model, {xs, ys}, false));
  });

  it('drops the same the second time, in layers and in adapters', async () => {
    const dropping: Record<string, () => tf.LayersModel> = {
      adapter: () => {
        const model = smallModel();
        addAdapter(model, {rank: 2, dropout: 0.5, seed: 1});
        return model;
      },
      layer: () => {
        const model = tf.sequential({
          layers: [layers.mambaBlock({dropout: 0.5, inputShape: [9, 6]}), tf.layers.dense({units: 11})],
        });
        const ones = model.getWeights().map((weight) => tf.fill(weight.shape, 0.1));
        model.setWeights(ones);
        return model;
      },
    };
    for (const [name, make] of Object.entries(dropping)) {
      const found: unknown[] = [];
      for (const gradCheckpoint of [false, true]) {
        const random = seededRandom(5);
        const own = Math.random;
        Math.random = random;
        const model = make();
        const {xs, ys} = labelled(3, [2, 9]);
        const inputs = name === 'layer' ? tf.oneHot(xs.clipByValue(0, 5), 6).toFloat() : xs;
        found.push(Object.values(await gradients(model, {xs: inputs, ys}, gradCheckpoint)));
        Math.random = own;
      }
      expect(found[1]).withContext(name).toEqual(found[0]);
    }
  });

  it('leaves nothing behind where the way back throws', () => {
    const model = smallModel();
    const {xs, ys} = labelled(3, [2, 20]);
    const {mixer} = model.layers[2] as unknown as {mixer: {run: (...args: unknown[]) => unknown}};
    const {run: own} = mixer;
    let calls = 0;
    mixer.run = (...args) => {
      if (++calls === 2) throw new Error('the second time');
      return own(...args);
    };
    const before = tf.memory().numTensors;
    expect(() => stepGradients(model, [{xs, ys}], nextToken, {gradCheckpoint: true})).toThrowError('the second time');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('lowers the peak of memory of 12 layers at length 1024 to less than a third', async () => {
    // A GPU in software would take long; what is kept does not depend on the length.
    const length = ['webgl', 'webgpu'].includes(tf.getBackend()) ? 64 : 1024;
    const model = smallModel({nLayer: 12, dModel: 8});
    const {xs, ys} = labelled(3, [1, length]);
    const peaks: number[] = [];
    for (const gradCheckpoint of [false, true]) {
      const {numBytes} = tf.memory();
      const {peakBytes, result} = await tf.profile(() =>
        tf.tidy(() => Object.values(stepGradients(model, [{xs, ys}], nextToken, {gradCheckpoint}).gradients)),
      );
      peaks.push(peakBytes - numBytes);
      tf.dispose(result);
    }
    expect(peaks[0] / peaks[1]).toBeGreaterThan(3);
  });

  it('is an option of the trainer, of models that have what it is for', () => {
    const ofModel = optimizer();
    expect(() => trainer(regressor(), {optimizer: ofModel, gradCheckpoint: true})).toThrowError(
      'trainer: gradCheckpoint is for models with layers of tfjs-mamba, but this one has none',
    );
    expect(() => trainer(smallModel(), {optimizer: ofModel, gradCheckpoint: 1 as never})).toThrowError(
      'trainer: gradCheckpoint must be true or false, but is number 1',
    );
  });
});
