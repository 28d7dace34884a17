/** The gated root-mean-square norm, as the specs that hold for every op see it. */
import * as fc from 'fast-check';
import type {GatedRmsNormArgs} from '../../../src/ops/gatedRmsNorm';
import {gatedRmsNorm} from '../../../src/ops/gatedRmsNorm';
import type {GatedRmsNormAttrs} from '../../../src/ops/gatedRmsNorm/kernels';
import type {GatedRmsNormReferenceInputs} from '../../../src/ops/gatedRmsNorm/reference';
import {gatedRmsNormGradReference, gatedRmsNormReference} from '../../../src/ops/gatedRmsNorm/reference';
import type {Arrays} from '../../support/arrays';
import {normal, seededRandom} from '../../support/arrays';
import type {OpCase, OpUnderTest} from '../opUnderTest';
import {divisor, either, product, seeds} from './draw';

export interface GatedRmsNormParams {
  lead: number[];
  channels: number;
  /** Chooses among the divisors of `channels`; undefined is absent. */
  groups: number | undefined;
  hasZ: boolean;
  normBeforeGate: boolean | undefined;
  epsilon: number | undefined;
  seed: number;
}

function build({lead, channels, groups, hasZ, normBeforeGate, epsilon, seed}: GatedRmsNormParams): OpCase {
  const random = seededRandom(seed);
  const inputs: Arrays = {
    x: normal(random, [...lead, channels]),
    weight: normal(random, [channels]),
    ...(hasZ && {z: normal(random, [...lead, channels])}),
  };
  const count = groups === undefined ? 1 : divisor(channels, groups);
  // Where the gate leaves only one channel of a small group, y is nearly a sign, see rmsNorm.ts.
  const eps = channels / count <= 4 ? 0.5 : epsilon;
  const options = {
    ...(groups !== undefined && {groups: count}),
    ...(normBeforeGate !== undefined && {normBeforeGate}),
    ...(eps !== undefined && {epsilon: eps}),
  };
  return {inputs, options};
}

const attrsOf = (options: OpCase['options']): GatedRmsNormAttrs => ({
  ...{groups: 1, normBeforeGate: false, epsilon: 1e-5},
  ...options,
});
const forReference = (inputs: Arrays) => inputs as unknown as GatedRmsNormReferenceInputs;

export const gatedRmsNormCase: OpUnderTest<GatedRmsNormParams> = {
  op: 'gatedRmsNorm',
  arbitrary: fc.record({
    lead: fc.array(fc.integer({min: 1, max: 5}), {maxLength: 3}),
    channels: fc.oneof(fc.integer({min: 1, max: 20}), fc.constantFrom(64, 256, 258, 768)),
    groups: fc.option(fc.nat(4), {nil: undefined}),
    hasZ: fc.boolean(),
    normBeforeGate: fc.constantFrom(undefined, false, true),
    epsilon: fc.constantFrom(undefined, 1e-6, 1e-5, 0.1),
    seed: seeds,
  }),
  combinations: product<GatedRmsNormParams>({
    lead: [[], [3], [2, 3]],
    channels: [1, 6],
    groups: [undefined, 0, 1],
    hasZ: either,
    normBeforeGate: [undefined, false, true],
    epsilon: [undefined, 0.3],
    seed: [12],
  }),
  build,
  run: (inputs, options) => ({y: gatedRmsNorm({...inputs, ...options} as unknown as GatedRmsNormArgs)}),
  reference: ({inputs, options}) => gatedRmsNormReference(forReference(inputs), attrsOf(options)),
  referenceGradient: ({inputs, options}, {y}) => gatedRmsNormGradReference(forReference(inputs), attrsOf(options), y),
};
