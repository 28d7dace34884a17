/** Training an adapter: it alone changes, its optimizer and checkpoints know nothing else, and a wrong call leaves the model as it was. */
import * as tf from '@tensorflow/tfjs';
import {addAdapter, mergeAdapter, removeAdapter} from '../../src/adapters';
import {countParameters} from '../../src/config/weightTable';
import type {MambaLM} from '../../src/lm/model';
import {savePretrained} from '../../src/lm/pretrained';
import {adamW} from '../../src/training/adamW';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import {decodeRun} from '../../src/training/checkpointFiles';
import {trainer} from '../../src/training/trainer';
import {smallModel} from '../lm/smallModel';
import {numbers, smallLM} from '../training/models';
import {windows} from '../training/runs';

/** Trains in several runs, each by a new model, and gives the weights. */
async function trained(runs: number[], options = {}) {
  const target = memoryCheckpoints();
  let weights: {base: number[][]; adapter: number[][]; names: string[]; losses: number[]} | undefined;
  for (const steps of runs) {
    const model = smallLM();
    addAdapter(model, {rank: 2, seed: 3, targets: ['in_proj', 'embeddings'], ...options});
    const optimizer = adamW({learningRate: 0.004});
    const fitting = trainer(model, {optimizer});
    const losses: number[] = [];
    await fitting.fit(windows(), {
      steps,
      checkpoint: {target},
      callbacks: {onStep: ({loss}) => void losses.push(loss)},
    });
    const state = (await optimizer.getWeights()).filter(({name}) => name.endsWith('/m'));
    expect(state.length).toBe(model.trainableWeights.length);
    const names = (await decodeRun((await target.load())!)).model.map(({name}) => name);
    weights = {
      base: await numbers(model.nonTrainableWeights.map((weight) => weight.read())),
      adapter: await numbers(model.trainableWeights.map((weight) => weight.read())),
      names,
      losses,
    };
    optimizer.dispose();
    model.dispose();
  }
  return weights!;
}

describe('an adapter in training', () => {
  it('learns, leaves what is beneath as it was, and goes on from a checkpoint that holds it alone', async () => {
    const [once, twice, fresh] = [await trained([6]), await trained([2, 6]), smallLM()];
    expect(once.base).toEqual(await numbers(fresh.getWeights()));
    fresh.dispose();
    expect(once.losses[5]).toBeLessThan(once.losses[0] - 0.05);
    expect(twice.adapter).toEqual(once.adapter);
    expect(once.names.length).toBe(once.adapter.length);
    expect(once.names.every((name) => name.includes('/lora'))).toBeTrue();
  });

  it('starts as no correction, also that of DoRA, and trains the magnitudes', async () => {
    const {losses: plain} = await trained([1]);
    const {losses, names} = await trained([2], {dora: true});
    expect(Math.abs(losses[0] - plain[0])).toBeLessThan(1e-4);
    expect(names.filter((name) => name.endsWith('loraMagnitude')).length).toBe(3);
  });

  it('drops inputs in training, and none otherwise', async () => {
    const [plain, dropped] = [await trained([3]), await trained([3], {dropout: 0.5})];
    expect(dropped.adapter).not.toEqual(plain.adapter);
    // A checkpoint keeps how far it has drawn.
    expect((await trained([1, 3], {dropout: 0.5})).adapter).toEqual(dropped.adapter);
    const model = smallLM();
    addAdapter(model, {dropout: 0.5, targets: ['in_proj']});
    const ids = tf.tensor2d([[1, 2, 3]], undefined, 'int32');
    const up = model.trainableWeights.find(({name}) => name.includes('loraUp'))!;
    tf.tidy(() => void up.write(tf.ones(up.shape as number[])));
    const outputs = [0, 1].map(() => model.predict(ids) as tf.Tensor);
    const noisy = [0, 1].map(() => model.apply(ids, {training: true}) as tf.Tensor);
    const [a, b, c, d] = await numbers([...outputs, ...noisy]);
    expect(a).toEqual(b);
    expect(c).not.toEqual(d);
    tf.dispose([ids, outputs, noisy]);
    model.dispose();
  });
});

describe('addAdapter', () => {
  let model: MambaLM;
  let tensors: number;
  beforeEach(() => {
    model = smallModel();
    tensors = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
  });

  it('tells what it trains, and takes the weights that a name means', () => {
    const all = addAdapter(model, {rank: 2});
    const trained = model.trainableWeights.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape as number[]), 0);
    const total = countParameters(model.config) + trained;
    expect(all).toEqual({
      targets: [0, 1].flatMap((i) =>
        ['in_proj', 'x_proj', 'out_proj'].map((name) => `backbone.layers.${i}.mixer.${name}`),
      ),
      trainedParameters: trained,
      totalParameters: total,
      trainedShare: trained / total,
    });
    removeAdapter(model);
    expect(model.trainableWeights.length).toBe(model.weights.length);
    expect(addAdapter(model, {targets: ['layers.1.mixer.dt_proj']}).targets).toEqual([
      'backbone.layers.1.mixer.dt_proj',
    ]);
    removeAdapter(model);
  });

  it('takes of the usual ones those that a mixer has', () => {
    const other = smallModel({mixer: 'mamba2', headDim: 4, nLayer: 1});
    const {targets} = addAdapter(other);
    expect(targets.map((path) => path.split('.').at(-1))).toEqual(['in_proj', 'out_proj']);
    other.dispose();
  });

  it('trains corrections of a frozen layer too, and gives back what was trainable', () => {
    model.getLayer('layers.0').trainable = false;
    const before = model.trainableWeights.map(({name}) => name);
    addAdapter(model, {targets: ['in_proj']});
    expect(model.trainableWeights.length).toBe(4);
    removeAdapter(model);
    expect(model.trainableWeights.map(({name}) => name)).toEqual(before);
    model.getLayer('layers.0').trainable = true;
  });

  const wrong: Array<[string, object, RegExp]> = [
    [
      'a target that matches nothing',
      {targets: ['q_proj']},
      /"q_proj" matches no weight; there are embeddings, in_proj, x_proj, dt_proj, out_proj, /,
    ],
    ['a misspelled target', {targets: ['in_prj']}, /did you mean in_proj/],
    ['a head that is the embedding', {targets: ['lm_head']}, /'embeddings' corrects both/],
    ['an empty list', {targets: []}, /targets must be a list of names/],
    ['an unknown option', {r: 4}, /unknown argument r/],
    ['a rank of 0', {rank: 0}, /rank must be a positive integer, but is number 0/],
    ['a dropout of 1', {dropout: 1}, /dropout must be at least 0 and below 1/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${name}`, () => {
      expect(() => addAdapter(model, options)).toThrowError(message);
      expect(model.adapter).toBeUndefined();
    });
  }

  it('is refused on a model that has one, and keeps from saving as if there were none', async () => {
    addAdapter(model);
    expect(() => addAdapter(model)).toThrowError(/has an adapter already/);
    const target = {write: () => {}};
    await expectAsync(savePretrained(model, target)).toBeRejectedWithError(/mergeAdapter puts it into the weights/);
    await expectAsync(
      model.save(tf.io.withSaveHandler(async () => ({modelArtifactsInfo: null!}))),
    ).toBeRejectedWithError(/mergeAdapter/);
    mergeAdapter(model);
    await expectAsync(savePretrained(model, target)).toBeResolved();
    removeAdapter(model);
    expect(() => removeAdapter(model)).toThrowError(/the model has no adapter/);
  });

  it('goes with its model, merged or not', () => {
    for (const isMerged of [false, true]) {
      const before = tf.memory().numTensors;
      const other = smallModel();
      addAdapter(other, {dora: true});
      if (isMerged) mergeAdapter(other);
      other.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});
