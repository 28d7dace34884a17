/** Wrong options and wrong calls: each is refused with an error that names the layer and the option or the input. */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import {LanguageHead, TokenEmbedding} from '../../src/layers/tokenEmbedding';
import {built, recurrentLayers, tidySpecs} from './layerUnderTest';

/** Code that is wrong in JavaScript and would not compile in TypeScript. */
type Untyped = never;

/** Options of a recurrent layer, and what the error says after the name of the layer. */
const wrongOptions: Array<[Record<string, unknown>, RegExp]> = [
  [{dState: 0}, /dState must be a positive integer, but is 0/],
  [{dState: -1}, /dState must be a positive integer, but is -1/],
  [{dState: 1.5}, /dState must be a positive integer, but is 1.5/],
  [{dState: '16'}, /dState must be a positive integer, but is "16"/],
  [{dConv: 0}, /dConv must be a positive integer, but is 0/],
  [{dConv: NaN}, /dConv must be a positive integer, but is NaN/],
  [{expand: 0}, /expand must be a positive number, but is 0/],
  [{expand: Infinity}, /expand must be a positive number, but is Infinity/],
  [{dInner: 2.5}, /dInner must be a positive integer, but is 2.5/],
  [{dtRank: 0}, /dtRank must be a positive integer or 'auto', but is 0/],
  [{dtRank: 'full'}, /dtRank must be a positive integer or 'auto', but is "full"/],
  [{dtMin: 0}, /dtMin must be a positive number, but is 0/],
  [{dtMax: -0.1}, /dtMax must be a positive number, but is -0.1/],
  [{dtMin: 0.2, dtMax: 0.1}, /dtMin must be at most dtMax, 0.1, but is 0.2/],
  [{dtInit: 'zeros'}, /dtInit must be one of 'random', 'constant', but is "zeros"/],
  [{dtScale: 0}, /dtScale must be a positive number, but is 0/],
  [{dtInitFloor: -1}, /dtInitFloor must be a positive number, but is -1/],
  [{convBias: 'yes'}, /convBias must be true or false, but is "yes"/],
  [{useBias: 1}, /useBias must be true or false, but is 1/],
  [{stateful: 0}, /stateful must be true or false, but is 0/],
  [{returnState: 'true'}, /returnState must be true or false, but is "true"/],
  [{returnSequences: 2}, /returnSequences must be true or false, but is 2/],
  [{goBackwards: 'no'}, /goBackwards must be true or false, but is "no"/],
  [{seed: 'x'}, /seed must be a number, but is "x"/],
  [{dropout: 1}, /dropout must be a number from 0 to below 1, but is 1/],
  [{dropout: '0.1'}, /dropout must be a number from 0 to below 1, but is "0.1"/],
  [
    {recurrentDropout: 0.1},
    /unknown option recurrentDropout; .*; the recurrence has no kernel; dropout drops what goes/,
  ],
  [{kernelInitializer: 'nothing'}, /kernelInitializer must be one that tf.layers.dense knows, but is "nothing"/],
  [{kernelRegularizer: 3}, /kernelRegularizer must be one that tf.layers.dense knows, but is 3/],
  [{dtype: 'int32'}, /dtype must be float32, but is int32/],
  [{units: 16}, /unknown option units; expected dState, dConv/],
  [{d_state: 16}, /unknown option d_state; expected dState/],
];

/** Calls of a layer built for dModel = 4, dInner = 8, dState = 3 and dConv = 3 with an input of batch 2 and length 5. */
type Layer = ReturnType<typeof layers.mamba>;
const x = () => tf.zeros<tf.Rank.R3>([2, 5, 4]);
const conv = (batch = 2) => tf.zeros<tf.Rank.R3>([batch, 2, 8]);
const ssm = (batch = 2) => tf.zeros<tf.Rank.R3>([batch, 8, 3]);

const wrongCalls: Record<string, [(layer: Layer) => unknown, RegExp]> = {
  'an input of rank 2': [
    (layer) => layer.apply(tf.zeros([2, 4])),
    /: input must have shape \[batch, length, dModel\], but has \[2,4\]/,
  ],
  'an input of rank 4': [
    (layer) => layer.apply(tf.zeros([1, 2, 5, 4])),
    /: input must have shape \[batch, length, dModel\], but has \[1,2,5,4\]/,
  ],
  'an input of another width': [
    (layer) => layer.apply(tf.zeros([2, 5, 6])),
    /: input must have 4 channels, as the layer was built for, but has shape \[2,5,6\]/,
  ],
  'a symbolic input of another width': [
    (layer) => layer.apply(tf.input({shape: [5, 6]})),
    /: input must have 4 channels, as the layer was built for, but has shape \[null,5,6\]/,
  ],
  'an empty sequence': [
    (layer) => layer.apply(tf.zeros([2, 0, 4])),
    /: input must not be empty, but has shape \[2,0,4\]/,
  ],
  'an empty batch': [(layer) => layer.apply(tf.zeros([0, 5, 4])), /: input must not be empty, but has shape \[0,5,4\]/],
  integers: [(layer) => layer.apply(x().toInt()), /: input must have dtype float32, but has int32/],
  'a symbolic input of integers': [
    (layer) => layer.apply(tf.input({shape: [5, 4], dtype: 'int32'})),
    /: input must have dtype float32, but has int32/,
  ],
  'one state': [
    (layer) => layer.apply([x(), conv()]),
    /: the states \[conv, ssm\] must have shapes \[2,2,8\] and \[2,8,3\], but have \[2,2,8\]/,
  ],
  'three states': [
    (layer) => layer.apply([x(), conv(), ssm(), ssm()]),
    /: the states \[conv, ssm\] must have shapes .* but have \[2,2,8\] and \[2,8,3\] and \[2,8,3\]/,
  ],
  'the states in the wrong order': [
    (layer) => layer.apply([x(), ssm(), conv()]),
    /: the states \[conv, ssm\] must have shapes .* but have \[2,8,3\] and \[2,2,8\]/,
  ],
  'the states of another batch': [
    (layer) => layer.apply([x(), conv(3), ssm(3)]),
    /: the states \[conv, ssm\] must have shapes \[2,2,8\] .* but have \[3,2,8\]/,
  ],
  'a state with the published column more': [
    (layer) => layer.apply([x(), tf.zeros([2, 3, 8]), ssm()]),
    /: the states .* must have shapes \[2,2,8\] .* but have \[2,3,8\]/,
  ],
  'a state of integers': [
    (layer) => layer.apply([x(), conv(), ssm().toInt()]),
    /: the state ssm must have dtype float32, but has int32/,
  ],
  'a symbolic state of another size': [
    (layer) => layer.apply([tf.input({shape: [5, 4]}), tf.input({shape: [2, 8]}), tf.input({shape: [8, 4]})]),
    /: the states \[conv, ssm\] must have shapes \[batch,2,8\] and \[batch,8,3\], but have .*8,4/,
  ],
  'an initialState of another batch': [
    (layer) => layer.apply(x(), {initialState: [conv(3), ssm(3)]}),
    /: the states \[conv, ssm\] must have shapes \[2,2,8\]/,
  ],
  'an initialState that is no list': [
    (layer) => layer.apply(x(), {initialState: layer.zeroState(2)}),
    /: initialState must be a list, \[conv, ssm\]/,
  ],
  'an initialState of numbers': [
    (layer) => layer.apply(x(), {initialState: [0, 0]}),
    /: the state conv must be a tensor, but is number/,
  ],
  'states given twice': [
    (layer) => layer.apply([x(), conv(), ssm()], {initialState: [conv(), ssm()]}),
    /: the states are given twice, as inputs and as initialState/,
  ],
  'a mask of another length': [
    (layer) => layer.apply(x(), {mask: tf.ones([2, 4])}),
    /: mask must have shape \[batch, length\], \[2,5\], but has \[2,4\]/,
  ],
  'a mask per channel': [
    (layer) => layer.apply(x(), {mask: tf.ones([2, 5, 4])}),
    /: mask must have shape \[batch, length\], \[2,5\], but has \[2,5,4\]/,
  ],
  'a step without a state': [
    (layer) => layer.step(tf.zeros([2, 4]), undefined as Untyped),
    /\.step: state must be \{conv, ssm\}, such as zeroState\(batch\), but is undefined/,
  ],
  'a step with half a state': [
    (layer) => layer.step(tf.zeros([2, 4]), {conv: conv()} as Untyped),
    /\.step: the state ssm must be a tensor, but is undefined/,
  ],
  'a step with the state of another batch': [
    (layer) => layer.step(tf.zeros([2, 4]), layer.zeroState(1)),
    /\.step: the states \[conv, ssm\] must have shapes \[2,2,8\] and \[2,8,3\], but have \[1,2,8\]/,
  ],
  'a step with a sequence': [
    (layer) => layer.step(x() as Untyped, layer.zeroState(2)),
    /\.step: x must have shape \[batch, dModel\], but has \[2,5,4\]/,
  ],
  'a step with another width': [
    (layer) => layer.step(tf.zeros([2, 3]), layer.zeroState(2)),
    /\.step: x must have 4 channels, as the layer was built for, but has shape \[2,3\]/,
  ],
  'a step with integers': [
    (layer) => layer.step(tf.zeros([2, 4], 'int32'), layer.zeroState(2)),
    /\.step: x must have dtype float32, but has int32/,
  ],
  'a step with a plain array': [
    (layer) => layer.step([[1, 2, 3, 4]] as Untyped, layer.zeroState(1)),
    /\.step: x must be a tensor, but is object/,
  ],
  'a zeroState of no batch': [(layer) => layer.zeroState(0), /\.zeroState: batch must be a positive integer, but is 0/],
  'a zeroState without a batch': [
    (layer) => layer.zeroState(undefined as Untyped),
    /\.zeroState: batch must be a positive integer, but is undefined/,
  ],
};

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`${kind} refuses`, () => {
    tidySpecs();

    for (const [options, message] of wrongOptions) {
      const shown = Object.entries(options).map(([name, value]) => `${name}: ${String(value)}`);
      it(`the options {${shown.join(', ')}}`, () => {
        expect(() => make(options as Untyped)).toThrowError(new RegExp(`^${kind}: ${message.source}`));
      });
    }

    for (const [what, [call, message]] of Object.entries(wrongCalls)) {
      it(what, () => {
        const layer: Layer = built(make({dState: 3, dConv: 3}), 4);
        expect(() => call(layer)).toThrowError(new RegExp(`^${kind}${message.source}`));
        layer.dispose();
      });
    }

    it('to tell its sizes before it is built', () => {
      expect(() => make({}).mixerConfig).toThrowError(new RegExp(`^${kind}: .* is not built yet`));
      expect(() => make({}).zeroState(1)).toThrowError(new RegExp(`^${kind}: .* is not built yet`));
    });

    it('an input of unknown width', () => {
      expect(() => make({}).apply(tf.input({shape: [5, null]}))).toThrowError(
        new RegExp(`^${kind}: input must have a known last axis, but has shape \\[null,5,null\\]`),
      );
    });

    it('an expansion to no whole number of channels', () => {
      expect(() => built(make({expand: 0.1}), 4)).toThrowError(
        new RegExp(`^${kind}: expand · dModel, 0.1 · 4, must be`),
      );
    });

    it('a bad first call as it does a later one', () => {
      const fresh = () => make({dState: 3, dConv: 3});
      expect(() => fresh().apply([x(), conv(3), ssm(3)])).toThrowError(new RegExp(`^${kind}: the states`));
      expect(() => fresh().apply(x().toInt())).toThrowError(new RegExp(`^${kind}: input must have dtype`));
    });
  });
}

describe('other layers refuse', () => {
  tidySpecs();

  const embedding = (args: object) => new TokenEmbedding(args as Untyped);
  const head = (args: object) => new LanguageHead(args as Untyped);
  const cases: Array<[string, () => unknown, RegExp]> = [
    ['a block with epsilon 0', () => layers.mambaBlock({epsilon: 0}), /^MambaBlock: epsilon must be a positive/],
    ['Mamba with epsilon', () => layers.mamba({epsilon: 1e-5} as Untyped), /^Mamba: unknown option epsilon/],
    ['a norm with epsilon -1', () => layers.rmsNormalization({epsilon: -1}), /^RMSNormalization: epsilon must be/],
    ['a norm with eps', () => layers.rmsNormalization({eps: 1} as Untyped), /^RMSNormalization: unknown option eps/],
    [
      'a norm of integers',
      () => layers.rmsNormalization().apply(tf.zeros([2, 3], 'int32')),
      /^RMSNormalization: input must have dtype float32, but has int32/,
    ],
    [
      'a norm of another width',
      () => built(layers.rmsNormalization(), 4).apply(x().slice([0, 0, 0], [2, 5, 3])),
      /^RMSNormalization: input must have 4 channels/,
    ],
    [
      'a norm of unknown width',
      () => layers.rmsNormalization().apply(tf.input({shape: [5, null]})),
      /^RMSNormalization: input must have a known last axis/,
    ],
    [
      'a convolution without options',
      () => layers.causalConv1d(undefined as Untyped),
      /^CausalConv1D: the options are/,
    ],
    ['a convolution of width 0', () => layers.causalConv1d({kernelSize: 0}), /^CausalConv1D: kernelSize must be/],
    [
      'a convolution with relu',
      () => layers.causalConv1d({kernelSize: 2, activation: 'relu' as Untyped}),
      /^CausalConv1D: activation must be one of 'linear', 'silu', but is "relu"/,
    ],
    [
      'a convolution with filters',
      () => layers.causalConv1d({kernelSize: 2, filters: 3} as Untyped),
      /^CausalConv1D: unknown option filters/,
    ],
    [
      'a convolution with useBias 1',
      () => layers.causalConv1d({kernelSize: 2, useBias: 1 as Untyped}),
      /^CausalConv1D: useBias must be true or false/,
    ],
    [
      'a convolution of rank 2',
      () => layers.causalConv1d({kernelSize: 2}).apply(tf.zeros([2, 3])),
      /^CausalConv1D: input must have shape \[batch, length, channels\], but has \[2,3\]/,
    ],
    [
      'a convolution of integers',
      () => layers.causalConv1d({kernelSize: 2}).apply(x().toInt()),
      /^CausalConv1D: input must have dtype float32/,
    ],
    [
      'a convolution of another width',
      () => built(layers.causalConv1d({kernelSize: 2}), 3).apply(x()),
      /^CausalConv1D: input must have 3 channels/,
    ],
    [
      'a convolution with a mask of another length',
      () => layers.causalConv1d({kernelSize: 2}).apply(x(), {mask: tf.ones([2, 4])}),
      /^CausalConv1D: mask must have shape \[batch, length\], \[2,5\], but has \[2,4\]/,
    ],
    [
      'an embedding without rows',
      () => embedding({vocabSize: 0, dModel: 4}),
      /^MambaTokenEmbedding: vocabSize must be/,
    ],
    ['an embedding without width', () => embedding({vocabSize: 4}), /^MambaTokenEmbedding: dModel must be/],
    ['a head without rows', () => head({dModel: 4}), /^MambaLanguageHead: vocabSize must be a positive integer/],
    ['a head with units', () => head({vocabSize: 4, dModel: 4, units: 1}), /^MambaLanguageHead: unknown option units/],
  ];

  for (const [what, call, message] of cases) {
    it(what, () => {
      expect(call).toThrowError(message);
    });
  }
});
