/** Mamba-2's scan, as the specs that hold for every op see it. */
import * as fc from 'fast-check';
import type {SsdArgs} from '../../../src/ops/ssd';
import {ssd} from '../../../src/ops/ssd';
import type {SsdReferenceInputs} from '../../../src/ops/ssd/reference';
import {ssdGradReference, ssdReference} from '../../../src/ops/ssd/reference';
import type {Arrays, Random} from '../../support/arrays';
import {mapValues, normal, reshaped, seededRandom} from '../../support/arrays';
import type {OpCase, OpUnderTest} from '../opUnderTest';
import {idsOf, packedIds} from './documents';
import {divisor, either, lengths, product, seeds} from './draw';
import type {Decay} from './scanNumbers';
import {decays, stateMatrix, stepBias, stepSizes} from './scanNumbers';

/** None; only the lower one, as the official default has it; and both, so that step sizes fall below, between and above. */
export const limits = [undefined, [0, Infinity], [0.0625, 0.5]] as const;

/** A skip connection per head or per channel. */
export const skips = ['none', 'head', 'channel'] as const;

/** What the scan and its single step have in common. */
export interface HeadParams {
  batch: number;
  heads: number;
  headDim: number;
  dState: number;
  /** Chooses among the divisors of `heads`; undefined is no axis of groups. */
  groups: number | undefined;
  skip: (typeof skips)[number];
  hasZ: boolean;
  hasBias: boolean;
  deltaSoftplus: boolean;
  limit: (typeof limits)[number];
  decay: Decay;
  seed: number;
}

export interface SsdParams extends HeadParams {
  length: number;
  hasInitialState: boolean;
  /** Whether the rows are packed documents. */
  isPacked?: boolean;
}

/** Sizes around those that kernels cut heads and states into. */
export const headArbitraries = {
  batch: fc.integer({min: 1, max: 3}),
  heads: fc.integer({min: 1, max: 6}),
  headDim: fc.oneof({weight: 3, arbitrary: fc.integer({min: 1, max: 9})}, fc.constantFrom(16, 17)),
  dState: fc.oneof({weight: 3, arbitrary: fc.integer({min: 1, max: 9})}, fc.constantFrom(16, 17, 33)),
  groups: fc.option(fc.nat(3), {nil: undefined}),
  skip: fc.constantFrom(...skips),
  hasZ: fc.boolean(),
  hasBias: fc.boolean(),
  deltaSoftplus: fc.boolean(),
  limit: fc.constantFrom(...limits),
  decay: fc.constantFrom(...decays),
  seed: seeds,
};

/** The inputs that have the same form in the scan and in its step; `lead` is [B,L] or [B]. */
export function headInputs(random: Random, params: HeadParams, lead: readonly number[]): Arrays {
  const {heads, headDim, dState, groups, skip, hasZ, hasBias, deltaSoftplus, decay} = params;
  const projection = groups === undefined ? [...lead, dState] : [...lead, divisor(heads, groups), dState];
  return {
    u: normal(random, [...lead, heads, headDim]),
    delta: stepSizes(random, [...lead, heads], deltaSoftplus),
    A: reshaped(stateMatrix(random, 1, heads, decay), [heads]),
    B: normal(random, projection),
    C: normal(random, projection),
    ...(skip !== 'none' && {D: normal(random, skip === 'head' ? [heads] : [heads, headDim])}),
    ...(hasZ && {z: normal(random, [...lead, heads, headDim])}),
    ...(hasBias && {deltaBias: stepBias(random, heads, deltaSoftplus)}),
  };
}

export const headOptions = ({deltaSoftplus, limit}: HeadParams): OpCase['options'] => ({
  deltaSoftplus,
  ...(limit && {deltaLimit: limit}),
});

/** The attributes of the reference. */
export function stepAttrs({deltaSoftplus, deltaLimit}: OpCase['options']) {
  const [deltaMin, deltaMax] = (deltaLimit as number[] | undefined) ?? [-Infinity, Infinity];
  return {deltaSoftplus: deltaSoftplus === true, deltaMin, deltaMax};
}

/** The inputs as the reference takes them: projections have their axis of groups, behind `leading` others. */
export function withGroups(inputs: Arrays, leading: number): Arrays {
  return mapValues(inputs, (array, name) => {
    const {shape} = array;
    const lacksGroups = (name === 'B' || name === 'C') && shape.length === leading + 1;
    return lacksGroups ? reshaped(array, [...shape.slice(0, -1), 1, shape[leading]]) : array;
  });
}

const arbitrary: fc.Arbitrary<SsdParams> = fc.record({
  ...headArbitraries,
  length: lengths,
  hasInitialState: fc.boolean(),
});

const flags = [
  ...product<SsdParams>({
    batch: [2],
    length: [3],
    heads: [4],
    headDim: [3],
    dState: [2],
    groups: [undefined, 1],
    skip: skips,
    hasZ: either,
    hasBias: either,
    hasInitialState: either,
    deltaSoftplus: either,
    limit: limits.slice(0, 1),
    decay: ['usual'],
    seed: [7],
  }),
  ...product<SsdParams>({
    batch: [2],
    length: [5],
    heads: [4],
    headDim: [2],
    dState: [3],
    groups: [2],
    skip: ['channel'],
    hasZ: [true],
    hasBias: either,
    hasInitialState: [true],
    deltaSoftplus: either,
    limit: limits,
    decay: ['usual'],
    seed: [9],
  }),
];

/** Packed rows go through the same kernel, so one case is enough. */
const combinations = [...flags, {...flags[flags.length - 1], length: 7, isPacked: true}];

function build(params: SsdParams): OpCase {
  const {batch, length, heads, headDim, dState, hasInitialState, isPacked = false} = params;
  const random = seededRandom(params.seed);
  const inputs = {
    ...headInputs(random, params, [batch, length]),
    ...(hasInitialState && {initialState: normal(random, [batch, heads, headDim, dState])}),
  };
  const sequenceIds = isPacked ? {sequenceIds: packedIds(random, batch, length)} : {};
  return {inputs, options: {...headOptions(params), ...sequenceIds}};
}

const forReference = (inputs: Arrays) => withGroups(inputs, 2) as unknown as SsdReferenceInputs;

export const ssdCase: OpUnderTest<SsdParams> = {
  op: 'ssd',
  arbitrary,
  combinations,
  build,
  run: (inputs, options) => ssd({...inputs, ...options} as unknown as SsdArgs),
  reference: ({inputs, options}) => ssdReference(forReference(inputs), stepAttrs(options), idsOf(options)),
  referenceGradient: ({inputs, options}, {y, finalState}) => {
    const given = forReference(inputs);
    const gradients = ssdGradReference(given, stepAttrs(options), y, finalState, idsOf(options)) as Arrays;
    return mapValues(gradients, (array, name) => reshaped(array, inputs[name].shape));
  },
};
