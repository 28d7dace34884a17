/** A saved model, loaded, is the same model: outputs bit for bit, configurations, wrapped layers and states included. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import type {MambaLayerArgs} from '../../src/layers/mamba';
import {Mamba} from '../../src/layers/mamba';
import {MambaBlock} from '../../src/layers/mambaBlock';
import {LanguageHead, TokenEmbedding} from '../../src/layers/tokenEmbedding';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {randomSeed} from '../support/settings';
import {recurrentLayers, setWeights, tidySpecs, trainedWeights} from './layerUnderTest';

const dModel = 4;
const length = 6;

/** No option has its default. */
const everyOption: MambaLayerArgs = {
  ...{dState: 3, dConv: 2, expand: 3, dtRank: 2, dtMin: 0.002, dtMax: 0.2, dtInit: 'constant', dtScale: 2},
  ...{dtInitFloor: 0.01, convBias: false, useBias: true, stateful: true, returnState: true, returnSequences: false},
  ...{goBackwards: true, seed: 3, name: 'every_option', trainable: false},
};

/** Saves, sends the description through JSON as a file would, and loads. */
async function savedAndLoaded(model: tf.LayersModel): Promise<tf.LayersModel> {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts;
      return Promise.resolve({modelArtifactsInfo: {dateSaved: new Date(0), modelTopologyType: 'JSON'}});
    }),
  );
  const {modelTopology, weightSpecs, weightData} = saved!;
  return tf.loadLayersModel(
    tf.io.fromMemory({modelTopology: JSON.parse(JSON.stringify(modelTopology)) as object, weightSpecs, weightData}),
  );
}

const sequential = (...stack: tf.layers.Layer[]) => tf.sequential({layers: [first(), ...stack]});
const first = () => tf.layers.inputLayer({inputShape: [length, dModel]});

/** A functional model that hands its states in and out. */
function withStates(layer: Mamba): tf.LayersModel {
  const inputs = [
    [length, dModel],
    [2, 8],
    [8, 3],
  ].map((shape) => tf.input({shape}));
  return tf.model({inputs, outputs: layer.apply(inputs) as tf.SymbolicTensor[]});
}

/** A language model in small: one table at both ends. */
function tied(): tf.LayersModel {
  const table = new TokenEmbedding({vocabSize: 7, dModel});
  const ids = tf.input({shape: [length]});
  const hidden = layers.mambaBlock({dState: 3}).apply(table.apply(ids));
  return tf.model({inputs: ids, outputs: table.apply(hidden) as tf.SymbolicTensor});
}

const wrapped = Object.entries(recurrentLayers).flatMap(([kind, make]) =>
  (['concat', 'sum', 'ave', 'mul', null] as const).flatMap((mergeMode) =>
    [true, false].map((returnState): [string, () => tf.LayersModel] => [
      `${kind} in bidirectional, mergeMode ${mergeMode}, returnState ${returnState}`,
      () => {
        const layer = make({dState: 3, returnState});
        const input = tf.input({shape: [length, dModel]});
        const outputs = tf.layers.bidirectional({layer, mergeMode: mergeMode as 'concat'}).apply(input);
        return tf.model({inputs: input, outputs: outputs as tf.SymbolicTensor[]});
      },
    ]),
  ),
);

const models: Record<string, () => tf.LayersModel> = {
  ...Object.fromEntries(wrapped),
  Mamba: () => sequential(layers.mamba()),
  'Mamba as first layer': () => tf.sequential({layers: [layers.mamba({inputShape: [length, dModel]})]}),
  'Mamba with every option': () =>
    tf.sequential({layers: [layers.mamba({...everyOption, batchInputShape: [2, length, dModel], returnState: false})]}),
  'Mamba with what tf.layers has for training': () =>
    sequential(
      layers.mamba({dropout: 0.3, kernelInitializer: 'glorotNormal', kernelRegularizer: 'l1l2'}),
      layers.mambaBlock({
        kernelInitializer: tf.initializers.orthogonal({gain: 0.5, seed: 2}),
        kernelRegularizer: tf.regularizers.l2({l2: 0.03}),
      }),
    ),
  'Mamba with dInner': () => sequential(layers.mamba({dInner: 5})),
  'Mamba with states in and out': () => withStates(layers.mamba({dState: 3, dConv: 3, returnState: true})),
  'a stack of blocks': () =>
    sequential(layers.mambaBlock(), layers.mambaBlock({epsilon: 1e-3}), layers.rmsNormalization()),
  'Mamba2, and a block of it': () =>
    sequential(
      layers.mamba2({headDim: 4, dState: 3}),
      layers.mamba2Block({headDim: 2, dState: 3, dtLimit: [0.1, 0.5]}),
    ),
  CausalConv1D: () => sequential(layers.causalConv1d({kernelSize: 3, activation: 'silu', useBias: false})),
  RMSNormalization: () => sequential(layers.rmsNormalization({epsilon: 0.1})),
  'a stack in timeDistributed': () =>
    tf.sequential({
      layers: [layers.mamba({dState: 3}), layers.mambaBlock({dState: 2})].map((layer) =>
        tf.layers.timeDistributed({layer, inputShape: [3, length, dModel]}),
      ),
    }),
  'stacked bidirectional layers with a mask': () =>
    sequential(
      tf.layers.masking({maskValue: 0}),
      tf.layers.bidirectional({layer: layers.mambaBlock({dState: 3})}),
      tf.layers.bidirectional({layer: layers.mamba({dState: 3, returnSequences: false}), mergeMode: 'sum'}),
    ),
  'a tied table': tied,
  'a head of its own': () => sequential(new LanguageHead({vocabSize: 7, dModel})),
};

describe('a model saved and loaded is the same:', () => {
  tidySpecs();

  for (const [what, make] of Object.entries(models)) {
    it(what, async () => {
      const model = make();
      const random = seededRandom(randomSeed);
      model.layers
        .filter((layer) => layer.weights.length > 0)
        .forEach((layer) => setWeights(layer, trainedWeights(layer, random)));
      const x = model.inputs.map(({shape, sourceLayer}) => {
        const full = shape.map((size) => size ?? 2);
        const isIds = model.layers.some((layer) => layer instanceof TokenEmbedding) && sourceLayer !== undefined;
        return isIds
          ? tf
              .range(0, 2 * length)
              .mod(tf.scalar(7))
              .floor()
              .reshape(full)
          : toTensor(normal(random, full));
      });
      const loaded = await savedAndLoaded(model);
      const outputs = (of: tf.LayersModel) => {
        const list = [of.predict(x.length === 1 ? x[0] : x)].flat();
        return readAndDispose(Object.fromEntries(list.map((t, i) => [`output ${i}`, t.clone()])));
      };
      const expected = await outputs(model);
      expect(Object.keys(expected).length).toBe(model.outputs.length);
      expect(mismatches(await outputs(loaded), expected, 0)).toEqual([]);
      expect(loaded.getConfig()).toEqual(model.getConfig());
      expect(loaded.countParams()).toBe(model.countParams());
      expect(loaded.layers.map((layer) => layer.trainable)).toEqual(model.layers.map((layer) => layer.trainable));
    });
  }
});

describe('a configuration', () => {
  it('says every option, and makes the same layer again', () => {
    for (const [make, cls] of [
      [layers.mamba, Mamba],
      [layers.mambaBlock, MambaBlock],
    ] as const) {
      const config = make(everyOption).getConfig();
      expect(config).toEqual(jasmine.objectContaining({...everyOption}));
      expect(cls.fromConfig(cls, config).getConfig()).toEqual(config);
    }
  });

  it('says the defaults, and leaves out what is not given', () => {
    const {name, ...config} = layers.mambaBlock().getConfig();
    expect(name).toMatch(/^mamba_block_/);
    expect(config).toEqual({
      ...{trainable: true, epsilon: 1e-5},
      ...{dState: 16, dConv: 4, expand: 2, dtRank: 'auto', dtMin: 0.001, dtMax: 0.1, dtInit: 'random', dtScale: 1},
      ...{dtInitFloor: 1e-4, convBias: true, useBias: false, stateful: false, returnState: false},
      ...{returnSequences: true, goBackwards: false},
    });
  });

  it('survives the way through a description in JSON', () => {
    const model = tf.sequential({
      layers: [layers.mamba({...everyOption, batchInputShape: [1, length, dModel], returnState: false})],
    });
    const again = tf.models.modelFromJSON(JSON.parse(model.toJSON() as string));
    return again.then((loaded) => expect(loaded.getConfig()).toEqual(model.getConfig()));
  });
});
