/** What layers take of `tf.layers` for training: dropout, how kernels start, what holds them small, what is frozen. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLayerArgs} from '../../src/layers/mamba';
import {MixerBlock} from '../../src/layers/mixerBlock';
import {registerMixer} from '../../src/mixers';
import {mamba1} from '../../src/mixers/mamba1';
import {built, readWeights, recurrentLayers, tidySpecs} from './layerUnderTest';

const [batch, length, dModel] = [8, 3, 64];
const all = batch * length * dModel;

const input = () => tf.randomUniform([batch, length, dModel], 1, 2, 'float32', 1);

/** From now on, what the mixer is given, call by call. */
function mixerInputs(): Float32Array[] {
  const {run} = mamba1;
  const given: Float32Array[] = [];
  spyOn(mamba1, 'run').and.callFake((weights, config, x, state, context) => {
    given.push(x.dataSync<'float32'>());
    return run(weights, config, x, state, context);
  });
  return given;
}

const zeros = (values: Float32Array) => values.filter((value) => value === 0).length;

const modelOf = (layer: tf.layers.Layer) =>
  tf.sequential({layers: [tf.layers.inputLayer({inputShape: [length, dModel]}), layer]});

/** Fits for a step without any loss but what the layers add; the loss is given back. */
async function stepWithoutLoss(model: tf.LayersModel, learningRate: number): Promise<number> {
  model.compile({optimizer: tf.train.sgd(learningRate), loss: (_, y) => tf.mul(y, 0).mean()});
  const {history} = await model.fit(input(), input(), {epochs: 1, batchSize: batch, verbose: 0});
  return history.loss[0] as number;
}

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`dropout of ${kind}`, () => {
    tidySpecs();

    it('drops its fraction of what the mixer is given, alike at every position and otherwise in every row', () => {
      const dropout = 0.25;
      const layer = built(make({dropout, dState: 2}), dModel);
      const given = mixerInputs();
      layer.apply(input());
      layer.apply(input(), {training: true});
      const [whole, dropped] = given;
      const kept = dropped.map((value, i) => value / whole[i]);
      const row = (b: number, t: number) => kept.slice((b * length + t) * dModel, (b * length + t + 1) * dModel);
      for (let b = 0; b < batch; b++) {
        for (let t = 1; t < length; t++) {
          expect(row(b, t).map(Math.round)).toEqual(row(b, 0).map(Math.round));
        }
        expect(b > 0 && row(b, 0).join() === row(b - 1, 0).join()).toBeFalse();
      }
      expect(kept.every((value) => value === 0 || Math.abs(value * (1 - dropout) - 1) < 1e-6)).toBeTrue();
      // Five standard errors; one draw serves all positions.
      const draws = batch * dModel;
      const slack = 5 * Math.sqrt((dropout * (1 - dropout)) / draws);
      expect(Math.abs(zeros(dropped) / all - dropout)).toBeLessThan(slack);
    });

    it('is there in fit, and not in predict and evaluate', async () => {
      const model = modelOf(make({dropout: 0.5, dState: 2}));
      model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
      const given = mixerInputs();
      model.predict(input());
      model.evaluate(input(), input());
      expect(given.map(zeros)).toEqual([0, 0]);
      await model.fit(input(), input(), {epochs: 1, batchSize: batch, verbose: 0});
      expect(zeros(given[2])).toBeGreaterThan(all / 4);
    });

    it('is the same with the same seed, and another at every call', () => {
      const twins = [1, 2].map(() => built(make({dropout: 0.5, seed: 3, dState: 2}), dModel));
      const given = mixerInputs();
      for (const layer of twins) {
        layer.apply(input(), {training: true});
        layer.apply(input(), {training: true});
      }
      expect(given[2]).toEqual(given[0]);
      expect(given[3]).toEqual(given[1]);
      expect(given[1]).not.toEqual(given[0]);
    });
  });

  describe(`kernels of ${kind}`, () => {
    tidySpecs();

    const below = kind === 'MambaBlock' ? 'mixer/' : '';
    const kernels = ['inProj', 'xProj', 'dtProj', 'outProj'].map((name) => `${below}${name}/kernel`);

    async function weightsWith(args: MambaLayerArgs) {
      return readWeights(built(make({seed: 1, dState: 2, ...args}), dModel));
    }

    it('start as kernelInitializer says, but for that of the step sizes; everything else as ever', async () => {
      const plain = await weightsWith({});
      const initializers = {zeros: 'zeros', constant: tf.initializers.constant({value: 0.25})} as const;
      for (const [expected, kernelInitializer] of [
        [0, initializers.zeros],
        [0.25, initializers.constant],
      ] as const) {
        const weights = await weightsWith({kernelInitializer});
        for (const [name, {values}] of Object.entries(weights)) {
          const isToBe = kernels.includes(name) && !name.includes('dtProj');
          expect(values)
            .withContext(name)
            .toEqual(isToBe ? values.map(() => expected) : plain[name].values);
        }
      }
    });

    it('add what kernelRegularizer says to the loss of fit, and are drawn by it', async () => {
      const l2 = 0.01;
      const model = modelOf(make({seed: 1, dState: 2, kernelRegularizer: tf.regularizers.l2({l2})}));
      const [, layer] = model.layers;
      const before = await readWeights(layer);
      const squares = kernels.flatMap((name) => [...before[name].values]).reduce((sum, k) => sum + k * k, 0);
      const loss = await stepWithoutLoss(model, 1);
      expect(Math.abs(loss / (l2 * squares) - 1)).toBeLessThan(1e-4);
      const after = await readWeights(layer);
      for (const [name, {values}] of Object.entries(before)) {
        const factor = kernels.includes(name) ? 1 - 2 * l2 : 1;
        const worst = values.reduce((most, k, i) => Math.max(most, Math.abs(after[name].values[i] - factor * k)), 0);
        expect(worst).withContext(name).toBeLessThan(1e-6);
      }
    });
  });

  it(`a ${kind} that is not trainable stays as it is`, async () => {
    const model = modelOf(make({dState: 2, trainable: false, kernelRegularizer: tf.regularizers.l2()}));
    model.add(make({dState: 2, kernelRegularizer: tf.regularizers.l2()}));
    const before = await Promise.all(model.layers.slice(-2).map(readWeights));
    await stepWithoutLoss(model, 1);
    const [frozen, free] = await Promise.all(model.layers.slice(-2).map(readWeights));
    expect(frozen).toEqual(before[0]);
    expect(free).not.toEqual(before[1]);
    model.dispose();
  });
}

it('dropout is refused with a mixer whose residual sums are its own', () => {
  const mixer = 'whole';
  registerMixer({...mamba1, name: mixer, isBlock: true, published: undefined});
  expect(() => new MixerBlock({mixer, dropout: 0.1})).toThrowError(
    'MixerBlock: dropout must be left out with the mixer whole, whose residual sums are its own',
  );
});
