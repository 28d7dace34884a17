/** The causal convolution and its single step, as the specs that hold for every op see them. */
import * as fc from 'fast-check';
import type {CausalConv1dArgs} from '../../../src/ops/causalConv1d';
import {causalConv1d} from '../../../src/ops/causalConv1d';
import type {ConvActivation} from '../../../src/ops/causalConv1d/kernels';
import type {ConvReferenceInputs} from '../../../src/ops/causalConv1d/reference';
import {causalConv1dGradReference, causalConv1dReference} from '../../../src/ops/causalConv1d/reference';
import type {CausalConv1dUpdateArgs} from '../../../src/ops/causalConv1dUpdate';
import {causalConv1dUpdate} from '../../../src/ops/causalConv1dUpdate';
import type {ConvUpdateReferenceInputs} from '../../../src/ops/causalConv1dUpdate/reference';
import {
  causalConv1dUpdateGradReference,
  causalConv1dUpdateReference,
} from '../../../src/ops/causalConv1dUpdate/reference';
import type {Arrays} from '../../support/arrays';
import {normal, seededRandom} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {idsOf, packedIds} from './documents';
import {either, lengths, product, seeds} from './draw';

const activations = ['linear', 'silu'] as const;

export interface ConvParams {
  batch: number;
  length: number;
  channels: number;
  width: number;
  hasBias: boolean;
  hasInitialState: boolean;
  activation: ConvActivation;
  seed: number;
  /** Whether the rows are packed documents. */
  isPacked?: boolean;
}

function buildConv({batch, length, channels, width, hasBias, hasInitialState, activation, seed, isPacked}: ConvParams) {
  const random = seededRandom(seed);
  const inputs: Arrays = {
    x: normal(random, [batch, length, channels]),
    weight: normal(random, [channels, width], 0.6),
    ...(hasBias && {bias: normal(random, [channels])}),
    ...(hasInitialState && {initialState: normal(random, [batch, width - 1, channels])}),
  };
  return {inputs, options: {activation, ...(isPacked && {sequenceIds: packedIds(random, batch, length)})}};
}

export const convCase: OpUnderTest<ConvParams> = {
  op: 'causalConv1d',
  arbitrary: fc.record({
    batch: fc.integer({min: 1, max: 3}),
    length: lengths,
    channels: fc.integer({min: 1, max: 20}),
    width: fc.integer({min: 1, max: 6}),
    hasBias: fc.boolean(),
    hasInitialState: fc.boolean(),
    activation: fc.constantFrom(...activations),
    seed: seeds,
    isPacked: fc.boolean(),
  }),
  combinations: product<ConvParams>({
    batch: [2],
    length: [1, 2, 5],
    channels: [3],
    width: [1, 2, 3, 4],
    hasBias: either,
    hasInitialState: either,
    activation: activations,
    seed: [9],
    isPacked: either,
  }),
  build: buildConv,
  run: (inputs, options) => causalConv1d({...inputs, ...options} as unknown as CausalConv1dArgs),
  reference: ({inputs, options}) =>
    causalConv1dReference(
      inputs as unknown as ConvReferenceInputs,
      options.activation as ConvActivation,
      idsOf(options),
    ),
  referenceGradient: ({inputs, options}, {y, finalState}) => {
    const activation = options.activation as ConvActivation;
    const given = inputs as unknown as ConvReferenceInputs;
    return causalConv1dGradReference(given, activation, y, finalState, idsOf(options));
  },
};

export type ConvUpdateParams = Omit<ConvParams, 'length' | 'hasInitialState' | 'isPacked'>;

export const convUpdateCase: OpUnderTest<ConvUpdateParams> = {
  op: 'causalConv1dUpdate',
  arbitrary: fc.record({
    batch: fc.integer({min: 1, max: 4}),
    channels: fc.integer({min: 1, max: 40}),
    width: fc.integer({min: 1, max: 6}),
    hasBias: fc.boolean(),
    activation: fc.constantFrom(...activations),
    seed: seeds,
  }),
  combinations: product<ConvUpdateParams>({
    batch: [2],
    channels: [3],
    width: [1, 2, 3, 4],
    hasBias: either,
    activation: activations,
    seed: [10],
  }),
  build: ({batch, channels, width, hasBias, activation, seed}) => {
    const random = seededRandom(seed);
    const inputs: Arrays = {
      x: normal(random, [batch, channels]),
      state: normal(random, [batch, width - 1, channels]),
      weight: normal(random, [channels, width], 0.6),
      ...(hasBias && {bias: normal(random, [channels])}),
    };
    return {inputs, options: {activation}};
  },
  run: (inputs, options) => causalConv1dUpdate({...inputs, ...options} as unknown as CausalConv1dUpdateArgs),
  reference: ({inputs, options}) =>
    causalConv1dUpdateReference(inputs as unknown as ConvUpdateReferenceInputs, options.activation as ConvActivation),
  referenceGradient: ({inputs, options}, {y, state}) => {
    const activation = options.activation as ConvActivation;
    return causalConv1dUpdateGradReference(inputs as unknown as ConvUpdateReferenceInputs, activation, y, state);
  },
};
