/**
 * What goes in and out of a recurrent layer besides the sequence: states handed over in every way, kept by a stateful layer, or
 * returned; the last position alone; the sequence read from its end.
 */
import * as tf from '@tensorflow/tfjs';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import {projectionsOf} from '../ops/opUnderTest';
import {readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {evaluateLayer, randomInputs, recurrentLayers, tidySpecs, trainedLayer} from './layerUnderTest';

const dModel = 6;
const batch = 2;
const length = 8;
const sizes: MambaLayerArgs = {dState: 3, dConv: 3};

type Output = tf.Tensor | tf.Tensor[];

for (const [kind, make] of Object.entries(recurrentLayers)) {
  /** Layers of one test differ in their options and are equal in their weights. */
  const layerWith = (args: MambaLayerArgs) =>
    trainedLayer(make({...sizes, ...args}) as Mamba, dModel, seededRandom(randomSeed));
  const inputs = () => {
    const config = layerWith({}).mixerConfig;
    const {x, conv, ssm} = randomInputs(seededRandom(randomSeed + 1), {batch, length, dModel}, config);
    return {arrays: {x, conv, ssm}, x: toTensor(x), conv: toTensor(conv), ssm: toTensor(ssm)};
  };
  const half = (x: tf.Tensor, which: 0 | 1) => x.slice([0, (which * length) / 2, 0], [batch, length / 2, dModel]);

  async function expectSame(actual: Output, expected: Output): Promise<void> {
    const byIndex = (output: Output) =>
      Object.fromEntries((Array.isArray(output) ? output : [output]).map((t) => t.clone()).entries());
    const [a, b] = [await readAndDispose(byIndex(actual)), await readAndDispose(byIndex(expected))];
    expect(Object.keys(b).length).toBeGreaterThan(0);
    expect(mismatches(a, b, 0)).toEqual([]);
  }

  async function differ(a: tf.Tensor, b: tf.Tensor): Promise<boolean> {
    const read = await readAndDispose({a: a.clone(), b: b.clone()});
    return mismatches({y: read.a}, {y: read.b}, 0).length > 0;
  }

  describe(`${kind} from a state`, () => {
    tidySpecs();
    let [x, conv, ssm]: tf.Tensor[] = [];
    let layer: Mamba;
    beforeEach(() => {
      ({x, conv, ssm} = inputs());
      layer = layerWith({returnState: true});
    });
    const expected = () => layer.apply([x, conv, ssm]) as tf.Tensor[];

    it('is not the layer from zero', async () => {
      expect(await differ(expected()[0], (layer.apply(x) as tf.Tensor[])[0])).toBeTrue();
    });

    it('of zeros is the layer without a state', async () => {
      const zero = layer.zeroState(batch);
      await expectSame(layer.apply([x, zero.conv, zero.ssm]) as tf.Tensor[], layer.apply(x) as tf.Tensor[]);
    });

    it('may be given it as initialState', async () => {
      await expectSame(layer.apply(x, {initialState: [conv, ssm]}) as tf.Tensor[], expected());
    });

    for (const [how, connect] of Object.entries<
      (x: tf.SymbolicTensor, states: tf.SymbolicTensor[]) => ReturnType<Mamba['apply']>
    >({
      'as inputs': (x, states) => layer.apply([x, ...states]),
      'as initialState': (x, states) => layer.apply(x, {initialState: states}),
    })) {
      it(`may be part of a model with the states ${how}`, async () => {
        const {dConv, dInner, dState} = layer.mixerConfig;
        const entry = tf.input({shape: [null, dModel]});
        const states = [tf.input({shape: [dConv - 1, dInner]}), tf.input({shape: [dInner, dState]})];
        const model = tf.model({inputs: [entry, ...states], outputs: connect(entry, states) as tf.SymbolicTensor[]});
        expect(model.outputs.map(({shape}) => shape)).toEqual([
          [null, null, dModel],
          [null, dConv - 1, dInner],
          [null, dInner, dState],
        ]);
        await expectSame(model.predict([x, conv, ssm]), expected());
      });
    }

    it('feeds its states to the next layer of a model', async () => {
      const entry = tf.input({shape: [null, dModel]});
      const decoder = layerWith({});
      const outputs = layer.apply(entry) as unknown as tf.SymbolicTensor[];
      const model = tf.model({inputs: entry, outputs: decoder.apply(outputs) as tf.SymbolicTensor});
      await expectSame(model.predict(x), decoder.apply(layer.apply(x)) as tf.Tensor);
    });
  });

  describe(`${kind}, stateful,`, () => {
    tidySpecs();

    it('takes two halves as one whole', async () => {
      const {x} = inputs();
      const stateful = layerWith({stateful: true, returnState: true});
      const [y, conv, ssm] = layerWith({returnState: true}).apply(x) as tf.Tensor[];
      const first = stateful.apply(half(x, 0)) as tf.Tensor[];
      const second = stateful.apply(half(x, 1)) as tf.Tensor[];
      const {output} = backendSettings();
      const actual = await readAndDispose({y: tf.concat([first[0], second[0]], 1), conv: second[1], ssm: second[2]});
      expect(mismatches(actual, await readAndDispose({y, conv, ssm}), output)).toEqual([]);
    });

    it('sends gradients through the state it carries', async () => {
      const {arrays} = inputs();
      const stateful = layerWith({stateful: true});
      const whole = layerWith({});
      const projections = projectionsOf({y: arrays.x}, randomSeed);
      const halves = ({x}: Record<string, tf.Tensor>) => {
        stateful.resetStates();
        const ys = [0, 1].map((which) => stateful.apply(half(x, which as 0 | 1)) as tf.Tensor);
        stateful.resetStates();
        return {y: tf.concat(ys, 1)};
      };
      const once = ({x}: Record<string, tf.Tensor>) => ({y: whole.apply(x) as tf.Tensor});
      const actual = await evaluateLayer(stateful, halves, {x: arrays.x}, projections);
      const expected = await evaluateLayer(whole, once, {x: arrays.x}, projections);
      const {output, gradient} = backendSettings();
      expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
      expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
    });

    it('begins again after resetStates', async () => {
      const {x} = inputs();
      const stateful = layerWith({stateful: true});
      const before = stateful.apply(x) as tf.Tensor;
      expect(await differ(stateful.apply(x) as tf.Tensor, before)).toBeTrue();
      stateful.resetStates();
      expect(stateful.states).toEqual([null, null]);
      await expectSame(stateful.apply(x) as tf.Tensor, before);
    });

    it('shows the states it carries', async () => {
      const {x} = inputs();
      const stateful = layerWith({stateful: true, returnState: true});
      const [, ...states] = stateful.apply(x) as tf.Tensor[];
      await expectSame(stateful.states as tf.Tensor[], states);
    });

    it('prefers a state it is given, and carries what follows', async () => {
      const {x, conv, ssm} = inputs();
      const stateful = layerWith({stateful: true, returnState: true});
      stateful.apply(x);
      const expected = layerWith({returnState: true}).apply([x, conv, ssm]) as tf.Tensor[];
      await expectSame(stateful.apply([x, conv, ssm]) as tf.Tensor[], expected);
      await expectSame(stateful.states as tf.Tensor[], expected.slice(1));
    });

    it('refuses a batch of another size until it is reset', () => {
      const {x} = inputs();
      const stateful = layerWith({stateful: true});
      stateful.apply(x);
      const one = x.slice([0, 0, 0], [1, length, dModel]);
      expect(() => stateful.apply(one)).toThrowError(/carries the state of a batch of 2.*batch of 1.*resetStates/);
      stateful.resetStates();
      expect((stateful.apply(one) as tf.Tensor).shape).toEqual([1, length, dModel]);
    });

    it('is reset by the model it is in', async () => {
      const {x} = inputs();
      const model = tf.sequential({
        layers: [make({...sizes, stateful: true, seed: 1, batchInputShape: [batch, length, dModel]})],
      });
      expect(model.stateful).toBeTrue();
      const before = model.predict(x) as tf.Tensor;
      expect(await differ(model.predict(x) as tf.Tensor, before)).toBeTrue();
      model.resetStates();
      await expectSame(model.predict(x), before);
    });
  });

  describe(`${kind} gives`, () => {
    tidySpecs();
    let x: tf.Tensor;
    beforeEach(() => ({x} = inputs()));
    const last = (y: tf.Tensor) => y.slice([0, length - 1, 0], [batch, 1, dModel]).squeeze([1]);

    it('the last position without returnSequences', async () => {
      await expectSame(
        layerWith({returnSequences: false}).apply(x) as tf.Tensor,
        last(layerWith({}).apply(x) as tf.Tensor),
      );
    });

    it('the last position and the states with returnState too', async () => {
      const [y, ...states] = layerWith({returnState: true}).apply(x) as tf.Tensor[];
      const outputs = layerWith({returnSequences: false, returnState: true}).apply(x) as tf.Tensor[];
      await expectSame(outputs, [last(y), ...states]);
    });

    for (const returnSequences of [true, false]) {
      it(`with goBackwards what it gives for the reversed input, returnSequences ${returnSequences}`, async () => {
        const backwards = layerWith({goBackwards: true, returnState: true, returnSequences});
        const forwards = layerWith({returnState: true, returnSequences});
        await expectSame(backwards.apply(x) as tf.Tensor[], forwards.apply(x.reverse(1)) as tf.Tensor[]);
        expect(await differ((backwards.apply(x) as tf.Tensor[])[0], (forwards.apply(x) as tf.Tensor[])[0])).toBeTrue();
      });
    }

    it('what zeroState says of shapes', () => {
      const layer = layerWith({});
      const {conv, ssm} = layer.zeroState(3);
      expect([conv.shape, ssm.shape]).toEqual([
        [3, 2, 12],
        [3, 12, 3],
      ]);
    });

    it('the shapes that it announces', () => {
      for (const returnSequences of [true, false]) {
        for (const returnState of [true, false]) {
          const layer = layerWith({returnSequences, returnState});
          const announced = layer.computeOutputShape([batch, length, dModel]);
          const outputs = layer.apply(x) as Output;
          expect(announced).toEqual(Array.isArray(outputs) ? outputs.map(({shape}) => shape) : outputs.shape);
        }
      }
    });
  });
}
