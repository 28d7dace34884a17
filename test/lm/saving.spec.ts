/** `model.save` and `tf.loadLayersModel`: what comes back is the same model, which goes on training as if nothing had been. */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import {MambaLM} from '../../src/lm/model';
import {AdamW, adamW} from '../../src/training/adamW';
import {warmupCosine} from '../../src/training/schedules';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';
import {labelled, lossAndAccuracy, scalars, weightValues} from './labelled';
import {smallModel} from './smallModel';

/** What a model saves, as a file would hold it. */
async function artifacts(model: tf.LayersModel, config: tf.io.SaveConfig = {}): Promise<tf.io.ModelArtifacts> {
  let saved: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler(async (given) => {
    saved = given;
    return {modelArtifactsInfo: {dateSaved: new Date(0), modelTopologyType: 'JSON'}};
  });
  // tfjs's own optimizers make a tensor of their count of steps, and forget it.
  const forgets = config.includeOptimizer && !(model.optimizer instanceof AdamW);
  if (forgets) tf.engine().startScope();
  await model.save(handler, config);
  if (forgets) tf.engine().endScope();
  const {modelTopology, trainingConfig} = saved!;
  const throughJson = JSON.parse(JSON.stringify({modelTopology, trainingConfig})) as tf.io.ModelArtifacts;
  return {...saved, ...throughJson};
}

async function load(saved: tf.io.ModelArtifacts): Promise<MambaLM> {
  const model = await tf.loadLayersModel(tf.io.fromMemory(saved));
  expect(model).toBeInstanceOf(MambaLM);
  return model as MambaLM;
}

async function outputs(model: MambaLM, xs: tf.Tensor): Promise<number[]> {
  const logits = model.predict(xs) as tf.Tensor;
  const values = [...(await logits.data())];
  logits.dispose();
  return values;
}

const variants: Array<Partial<MambaConfig>> = [
  {eosTokenIds: [2, 3], bosTokenId: 1},
  {tieEmbeddings: false, useBias: true, dConv: 3, dtInit: 'constant', dtRank: 2},
  {mixer: 'mamba2', headDim: 4},
];

const optimizers: Record<string, () => tf.Optimizer> = {
  adamW: () => adamW({schedule: warmupCosine({peak: 0.03, warmupSteps: 2, totalSteps: 20}), clipNorm: 1}),
  adam: () => tf.train.adam(0.01),
};

describe('a saved MambaLM', () => {
  let before: number;
  beforeEach(() => {
    before = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(before);
  });

  for (const variant of variants) {
    it(`comes back a MambaLM of the same outputs, bit for bit: ${JSON.stringify(variant)}`, async () => {
      const model = smallModel(variant);
      const {xs, ys} = labelled(1, [3, 9]);
      const wanted = await outputs(model, xs);
      const saved = await artifacts(model);
      expect((saved.weightData as ArrayBuffer).byteLength).toBe(4 * countParameters(model.config));
      const loaded = await load(saved);
      expect(loaded.config).toEqual(model.config);
      expect(loaded.name).toBe(model.name);
      expect(await outputs(loaded, xs)).toEqual(wanted);
      expect(await weightValues(loaded)).toEqual(await weightValues(model));
      loaded.dispose();
      expect(await outputs(model, xs)).toEqual(wanted);
      model.dispose();
      tf.dispose([xs, ys]);
    });

    for (const [name, optimizer] of Object.entries(optimizers)) {
      it(`goes on with ${name} as if it had not been saved: ${JSON.stringify(variant)}`, async () => {
        const model = smallModel(variant);
        model.compile({optimizer: optimizer(), ignoreIndex: 3, metrics: ['accuracy']});
        const data = labelled(2, [4, 6], 3);
        const options = {batchSize: 4, shuffle: false, epochs: 3, verbose: 0};
        await model.fit(data.xs, data.ys, options);
        const loaded = await load(await artifacts(model, {includeOptimizer: true}));

        expect(loaded.optimizer.getClassName()).toBe(model.optimizer.getClassName());
        expect(loaded.metricsNames).toEqual(['loss', 'acc']);
        const [loss, accuracy] = await scalars(loaded.evaluate(data.xs, data.ys));
        const wanted = await lossAndAccuracy(model, data, 3);
        expect(Math.abs(loss - wanted[0])).toBeLessThan(backendSettings().output * wanted[0]);
        expect(accuracy).toBeCloseTo(wanted[1], 5);

        await model.fit(data.xs, data.ys, options);
        await loaded.fit(data.xs, data.ys, options);
        const [actual, expected] = [await weightValues(loaded), await weightValues(model)];
        if (name === 'adamW') {
          expect(actual).toEqual(expected);
        } else {
          // tfjs's Adam computes the powers of its betas anew when it comes back, which may round otherwise.
          const arrays = (weights: Record<string, Float32Array>) =>
            Object.fromEntries(
              Object.entries(weights).map(([key, x]) => [key, {shape: [x.length], values: Float64Array.from(x)}]),
            );
          expect(mismatches(arrays(actual), arrays(expected), 1e-5)).toEqual([]);
        }

        for (const one of [model, loaded]) {
          one.optimizer.dispose();
          one.dispose();
        }
        tf.dispose([data.xs, data.ys]);
      });
    }
  }

  it('is without a loss again if the optimizer was not saved, and can be compiled', async () => {
    const model = smallModel();
    model.compile({optimizer: tf.train.sgd(0.1), ignoreIndex: 5});
    const loaded = await load(await artifacts(model));
    const data = labelled(3, [2, 5], 5);
    await expectAsync(loaded.fit(data.xs, data.ys)).toBeRejectedWithError(/must compile a model/);
    loaded.compile({optimizer: model.optimizer});
    const [loss] = await scalars(loaded.evaluate(data.xs, data.ys));
    expect(loss).toBeCloseTo((await lossAndAccuracy(model, data, 5))[0], 4);
    model.optimizer.dispose();
    model.dispose();
    loaded.dispose();
    tf.dispose([data.xs, data.ys]);
  });

  it('keeps which layers are frozen', async () => {
    const model = smallModel();
    for (const name of ['embeddings', 'layers.1']) model.getLayer(name).trainable = false;
    model.compile({optimizer: tf.train.adam(0.01)});
    const {xs, ys} = labelled(4, [2, 5]);
    await model.trainOnBatch(xs, ys);
    const loaded = await load(await artifacts(model, {includeOptimizer: true}));
    const start = await weightValues(loaded);
    expect(start).toEqual(await weightValues(model));
    await loaded.trainOnBatch(xs, ys);
    const moved = Object.entries(await weightValues(loaded)).filter(
      ([name, values]) => `${values}` !== `${start[name]}`,
    );
    expect(moved.length).toBeGreaterThan(5);
    expect(moved.map(([name]) => name).filter((name) => !/^layers\.0|^normF/.test(name))).toEqual([]);
    for (const one of [model, loaded]) {
      one.optimizer.dispose();
      one.dispose();
    }
    tf.dispose([xs, ys]);
  });

  it('keeps a loss of tfjs, and refuses to leave out one that is a function', async () => {
    const model = smallModel();
    const optimizer = tf.train.sgd(0.1);
    model.compile({optimizer, loss: 'meanSquaredError'});
    const loaded = await load(await artifacts(model, {includeOptimizer: true}));
    expect(loaded.loss).toBe('meanSquaredError');
    model.compile({optimizer, loss: (wanted: tf.Tensor, logits: tf.Tensor) => wanted.sub(logits).abs().mean()});
    await expectAsync(artifacts(model, {includeOptimizer: true})).toBeRejectedWithError(
      /^save: a loss that is a function cannot be saved; save without includeOptimizer/,
    );
    (await load(await artifacts(model))).dispose();
    for (const one of [optimizer, model, loaded.optimizer, loaded]) one.dispose();
  });

  it('has a configuration that makes the same model, of other weights', async () => {
    const model = smallModel({...variants[1], epsilon: 1e-4});
    const copies = [
      MambaLM.fromConfig(MambaLM, model.getConfig()),
      await tf.models.modelFromJSON(JSON.parse(JSON.stringify(model.toJSON(null, false))) as never),
    ] as MambaLM[];
    for (const copy of copies) {
      expect(copy).toBeInstanceOf(MambaLM);
      expect(copy.config).toEqual(model.config);
      expect([...copy.weightsByName().keys()]).toEqual([...model.weightsByName().keys()]);
      expect((await weightValues(copy))['embeddings/weight']).not.toEqual(
        (await weightValues(model))['embeddings/weight'],
      );
      copy.dispose();
    }
    model.dispose();
  });
});
