/**
 * What holds for every mixer, whatever it is: a sequence in parts or step by step is one pass; padding changes nothing, whatever stands
 * there; and a model of it trains, generates, saves and loads. One of the mixers is the test's own.
 */
import * as tf from '@tensorflow/tfjs';
import {fromPretrained, mambaLM, registerMixer, savePretrained} from '../../src';
import type {AnyMixer, MambaConfig, MambaLM} from '../../src';
import {mixerNamed} from '../../src/mixers';
import {mamba1} from '../../src/mixers/mamba1';
import {Mamba2} from '../../src/layers/mamba2';
import {MixerBlock} from '../../src/layers/mixerBlock';
import type {MixerBlockArgs} from '../../src/layers/mixerBlock';
import type {State} from '../../src/mixers/mixer';
import {stateShapes} from '../../src/mixers/states';
import {adamW} from '../../src/training/adamW';
import {trainer} from '../../src/training/trainer';
import type {Arrays} from '../support/arrays';
import {mapValues, normal, readAndDispose, seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {blobFile} from '../../src/checkpoints/bytes';
import {evaluateLayer, readWeights, setWeights, built} from '../layers/layerUnderTest';
import type {Tensors} from '../layers/layerUnderTest';
import {projectionsOf} from '../ops/opUnderTest';
import {s4d} from './s4d';

if (!safely(() => mixerNamed(s4d.name))) registerMixer(s4d);

function safely(f: () => unknown): boolean {
  try {
    f();
    return true;
  } catch {
    return false;
  }
}

const heads = {dInner: 12, headDim: 3, dState: 5};

/** Everything about a mixer that could go wrong in one of these ways. */
const variants: Record<string, Omit<MambaConfig, 'vocabSize' | 'dModel' | 'nLayer'> & {mixer: string}> = {
  Mamba: {mixer: 'mamba1', dState: 3},
  FalconMamba: {mixer: 'mamba1', dState: 3, mixerEpsilon: 1e-6, dConv: 3},
  'Mamba-2': {mixer: 'mamba2', ...heads, nGroups: 2},
  'Mamba-2 with one norm': {mixer: 'mamba2', ...heads, nGroups: 2, normGroups: 1, useBias: true, dConv: 2},
  'Mamba-2 with the norm first': {mixer: 'mamba2', ...heads, normBeforeGate: true, dHasHeadDim: true},
  'Mamba-2 without norm, limited': {mixer: 'mamba2', ...heads, gatedNorm: false, dtLimit: [0.01, 0.4], dConv: 1},
  S4D: {mixer: 's4d', dState: 3},
};

const dModel = 6;
const batch = 3;
const length = 9;

/** A block with weights such as training leaves: none at a special value. */
async function blockOf(args: MixerBlockArgs): Promise<MixerBlock> {
  const block = built(new MixerBlock({...args, seed: 5}), dModel);
  const random = seededRandom(randomSeed);
  const weights = await readWeights(block);
  setWeights(
    block,
    mapValues(weights, ({shape, values}) => {
      const noise = normal(random, shape, 0.2).values;
      return {shape, values: values.map((value, i) => value + noise[i])};
    }),
  );
  return block;
}

/** x and a state; parts of no size, which have no gradient, are left out. */
function inputsOf(block: MixerBlock): {inputs: Arrays; projections: Arrays} {
  const random = seededRandom(randomSeed + 1);
  const states = stateShapes(block.mixer, block.mixerConfig, batch) as Array<[string, number[]]>;
  const inputs: Arrays = {x: normal(random, [batch, length, dModel])};
  for (const [name, shape] of states) if (!shape.includes(0)) inputs[name] = normal(random, shape);
  const {x, ...state} = inputs;
  return {inputs, projections: projectionsOf({y: x, ...state}, randomSeed)};
}

/** The state among the inputs, the empty parts filled in. */
function stateIn(block: MixerBlock, {x, ...state}: Tensors): State {
  return {...block.zeroState(x.shape[0]), ...state};
}

const named = ({y, state}: {y: tf.Tensor; state: State}): Tensors => {
  return Object.fromEntries(Object.entries({y, ...state}).filter(([, {size}]) => size > 0));
};

type Way = (block: MixerBlock) => (inputs: Tensors) => Tensors;

const onePass: Way = (block) => (inputs) => named(block.run(inputs.x as tf.Tensor3D, stateIn(block, inputs)));

const inParts: Way = (block) => (inputs) => {
  let state = stateIn(block, inputs);
  const ys = tf.split(inputs.x, [1, 5, 3], 1).map((part) => {
    const result = block.run(part as tf.Tensor3D, state);
    state = result.state;
    return result.y;
  });
  return named({y: tf.concat(ys, 1), state});
};

const stepByStep: Way = (block) => (inputs) => {
  let state = stateIn(block, inputs);
  const ys = tf.unstack(inputs.x, 1).map((token) => {
    const result = block.step(token as tf.Tensor2D, state);
    state = result.state;
    return result.y;
  });
  return named({y: tf.stack(ys, 1), state});
};

const mask = [
  [0, 0, 0, 1, 1, 1, 1, 1, 1],
  [1, 1, 1, 1, 1, 0, 0, 0, 0],
  [0, 1, 0, 0, 1, 1, 0, 1, 0],
];
const isReal = (i: number) => mask.flat()[Math.floor(i / dModel)] === 1;
const placesOf = (row: number[]) => row.flatMap((real, t) => (real ? [t] : []));

/** The outputs at padding are not compared. */
const padded: Way = (block) => (inputs) => {
  const {y, state} = block.run(inputs.x as tf.Tensor3D, stateIn(block, inputs), tf.tensor2d(mask));
  return named({y: tf.where(tf.tensor2d(mask).cast('bool').expandDims(-1), y, tf.zerosLike(y)), state});
};

const alone: Way = (block) => (inputs) => {
  const results = mask.map((row, b) => {
    const ofRow = (t: tf.Tensor) => t.slice([b, ...t.shape.slice(1).map(() => 0)], [1, ...t.shape.slice(1)]);
    const places = placesOf(row);
    const x = tf.concat(
      places.map((t) => inputs.x.slice([b, t, 0], [1, 1, dModel])),
      1,
    );
    const {y, state} = block.run(x as tf.Tensor3D, mapValues(stateIn(block, inputs), ofRow));
    const at = (i: number) => y.slice([0, i, 0], [1, 1, dModel]);
    const spread = row.map((real, t) => (real ? at(places.indexOf(t)) : tf.zeros([1, 1, dModel])));
    return named({y: tf.concat(spread, 1), state});
  });
  return mapValues(results[0], (_, name) => tf.concat(results.map((result) => result[name])));
};

for (const [kind, args] of Object.entries(variants)) {
  describe(`the mixer of ${kind}`, () => {
    let block: MixerBlock;
    beforeAll(async () => {
      block = await blockOf(args);
    });
    afterAll(() => void block.dispose());

    for (const [how, way] of Object.entries({'in parts': inParts, 'step by step': stepByStep})) {
      it(`gives ${how} what it gives in one pass`, async () => {
        const {inputs, projections} = inputsOf(block);
        const expected = await evaluateLayer(block, onePass(block), inputs, projections);
        const actual = await evaluateLayer(block, way(block), inputs, projections);
        const {output, gradient} = backendSettings();
        expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
        expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
      });
    }

    it('gives a padded batch what every row gives alone, though NaN and infinities stand at the padding', async () => {
      const {inputs, projections} = inputsOf(block);
      const spoilt = inputs.x.values.map((value, i) => (isReal(i) ? value : [NaN, Infinity, -Infinity][i % 3]));
      const withPadding = {...inputs, x: {...inputs.x, values: spoilt}};
      const expected = await evaluateLayer(block, alone(block), inputs, projections);
      const actual = await evaluateLayer(block, padded(block), withPadding, projections);
      const {output, gradient} = backendSettings();
      expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
      expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
      expect(actual.gradients.x.values.every((g, i) => isReal(i) || g === 0)).toBeTrue();
    });

    describe('in a language model', () => {
      const config: MambaConfig = {...args, vocabSize: 11, dModel, nLayer: 2, tieEmbeddings: false};
      let model: MambaLM;
      beforeEach(() => (model = mambaLM(config, {seed: 3})));
      afterEach(() => void model.dispose());

      it('learns, and decays what its table says', async () => {
        const optimizer = adamW({learningRate: 0.02});
        const losses: number[] = [];
        const xs = [[1, 2, 3, 4, 5, 6, 7, 8]];
        const next = () => ({
          done: false as const,
          value: {
            xs: tf.tensor2d(xs, undefined, 'int32'),
            ys: tf.tensor2d([[2, 3, 4, 5, 6, 7, 8, 9]], undefined, 'int32'),
          },
        });
        await trainer(model, {optimizer}).fit(
          {iterator: async () => ({next: async () => next()})},
          {steps: 12, callbacks: {onStep: ({loss}) => void losses.push(loss)}},
        );
        expect(losses[11]).toBeLessThan(0.8 * losses[0]);
        optimizer.dispose();
      });

      it('generates what its passes say, token by token', async () => {
        const prompt = [3, 1, 4, 1];
        const written: number[] = [];
        for await (const {id} of model.generate(prompt, {maxNewTokens: 5, temperature: 0})) written.push(id);
        const ids = [...prompt];
        for (let i = 0; i < 5; i++) {
          const last = tf.tidy(() => {
            const logits = model.apply(tf.tensor2d([ids], undefined, 'int32')) as tf.Tensor;
            return logits.slice([0, ids.length - 1, 0], [1, 1, 11]).reshape([11]);
          });
          const {logits} = await readAndDispose({logits: last});
          ids.push(logits.values.indexOf(Math.max(...logits.values)));
        }
        expect(written).toEqual(ids.slice(prompt.length));
      });

      it('comes back from its files and from tfjs as it was', async () => {
        const files = new Map<string, Uint8Array>();
        await savePretrained(model, {write: (name, bytes) => void files.set(name, bytes)});
        const source = {
          name: 'memory',
          open: async (name: string) => {
            const bytes = files.get(name);
            return bytes && blobFile(name, new Blob([bytes as Uint8Array<ArrayBuffer>]));
          },
        };
        let saved: tf.io.ModelArtifacts | undefined;
        await model.save(
          tf.io.withSaveHandler(
            async (artifacts) => (
              (saved = artifacts),
              {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}}
            ),
          ),
        );
        const copies = [await fromPretrained(source), (await tf.loadLayersModel(tf.io.fromMemory(saved!))) as MambaLM];
        const ids = tf.tensor2d([[1, 2, 3, 4, 5]], undefined, 'int32');
        const {logits} = await readAndDispose({logits: model.predict(ids) as tf.Tensor});
        for (const copy of copies) {
          expect(copy.config.mixer ?? 'mamba1').toBe(args.mixer);
          expect((await readAndDispose({logits: copy.predict(ids) as tf.Tensor})).logits).toEqual(logits);
          copy.dispose();
        }
        ids.dispose();
      });
    });
  });
}

describe('a mixer', () => {
  it('that is not known is refused by name', () => {
    expect(() => mambaLM({vocabSize: 5, dModel: 4, nLayer: 1, mixer: 'mamba9'})).toThrowError(
      /there is no mixer "mamba9"; known are mamba1, mamba2/,
    );
  });

  it('is known by one name only', () => {
    expect(() => registerMixer(s4d)).not.toThrow();
    expect(() => registerMixer({...s4d})).toThrowError('registerMixer: there is another mixer of the name s4d');
  });

  it('that lacks a part, or could be taken for another, is refused at once', () => {
    const name = 'half-made';
    const wrong: Array<[unknown, RegExp]> = [
      [undefined, /^registerMixer: undefined is no mixer/],
      [{...s4d, name: 'My_Mixer'}, /the name of a mixer must be lower-case letters, .* but is "My_Mixer"/],
      [{...s4d, name: undefined}, /the name of a mixer must be .* but is undefined/],
      [{...s4d, name, run: undefined}, /run of the mixer half-made must be a function, but is undefined/],
      [{...s4d, name, stepBlocks: true}, /stepBlocks of the mixer half-made must be a function, but is true/],
      [{...s4d, name, fields: null}, /fields of the mixer half-made must be an object, but is null/],
      [{...s4d, name, fields: {dState: {fallback: 4}}}, /fields.dState of the mixer half-made must be a field/],
      [{...s4d, name, states: {ssm: [4]}}, /states.ssm of the mixer half-made must be a function .* but is \[4\]/],
      [{...s4d, name: 'falcon-mamba', published: mamba1.published}, /have the model_type mamba of mamba1/],
      [{...s4d, name: 'mamba'}, /files of the mixer mamba would have the model_type mamba of mamba1/],
    ];
    for (const [mixer, message] of wrong) expect(() => registerMixer(mixer as AnyMixer)).toThrowError(message);
    expect(() => mixerNamed(name)).toThrowError(/there is no mixer/);
  });

  it('whose last matrix cannot be drawn smaller starts smaller in a deep model all the same', async () => {
    const weights: AnyMixer['weights'] = (config) =>
      s4d
        .weights(config as Parameters<typeof s4d.weights>[0])
        .map((spec) => ({...spec, initialize: () => tf.ones(spec.shape as number[])}));
    const even: AnyMixer = {...s4d, name: 'even', weights};
    if (!safely(() => mixerNamed(even.name))) registerMixer(even);
    const model = mambaLM({mixer: 'even', vocabSize: 8, dModel: 4, nLayer: 4, dState: 2});
    const first = async (name: string) => (await model.weightsByName().get(name)!.read().data())[0];
    expect(await first('layers.3/mixer/out/kernel')).toBe(0.5);
    expect(await first('layers.3/mixer/B')).toBe(1);
    model.dispose();
  });

  it('whose weights start in another shape than its table says is refused by the name of the weight', () => {
    const weights: AnyMixer['weights'] = (config: never) => {
      return s4d.weights(config).map((spec) => ({...spec, initialize: () => tf.zeros([3])}));
    };
    const crooked: AnyMixer = {...s4d, name: 'crooked', weights};
    if (!safely(() => mixerNamed(crooked.name))) registerMixer(crooked);
    tf.tidy(() => {
      expect(() => built(new MixerBlock({mixer: 'crooked'}), 6)).toThrowError(
        /the weight mixer\/ALog of the mixer crooked must start in its shape \[6,4\], but starts in \[3\]/,
      );
    });
  });

  // A shader language promises nothing about NaN, and on webgpu one has been seen to end within the limits.
  if (!tf.getBackend().startsWith('webg')) {
    it('whose step sizes have gone NaN says so within its limits too, at a padded batch as at any other', async () => {
      const layer = built(new Mamba2({headDim: 2, dState: 3, dtLimit: [0.01, 0.4], seed: 1}), dModel);
      setWeights(layer, {...(await readWeights(layer)), dtBias: {shape: [6], values: new Float64Array(6).fill(NaN)}});
      const {state} = tf.tidy(() => {
        const x = tf.ones<tf.Rank.R3>([1, 3, dModel]);
        const runs = [layer.run(x), layer.run(x, undefined, tf.tensor2d([[0, 1, 1]]))];
        return {state: tf.stack(runs.map(({state}) => state.ssm))};
      });
      const {values} = (await readAndDispose({state})).state;
      expect(values.every(Number.isNaN)).toBeTrue();
      layer.dispose();
    });
  }

  it('has the fields of its own and no other', () => {
    const of = (fields: object) => () => mambaLM({vocabSize: 5, dModel: 64, nLayer: 1, ...fields});
    expect(of({headDim: 8})).toThrowError(/^MambaConfig has no field headDim; with the mixer mamba1 it has vocabSize/);
    expect(of({mixer: 'mamba2', dtRank: 8})).toThrowError(/no field dtRank; with the mixer mamba2 it has .*headDim/);
    expect(of({mixer: 'mamba2', headDim: 24})).toThrowError(/headDim must be a divisor of dInner, 128, but is 24/);
    expect(of({mixer: 'mamba2', nGroups: 3})).toThrowError(
      /nGroups must be a divisor of dInner \/ headDim, 2, but is 3/,
    );
    expect(of({mixer: 'mamba2', dtLimit: [1]})).toThrowError(/dtLimit must be two numbers .* but is \[1\]/);
  });
});
