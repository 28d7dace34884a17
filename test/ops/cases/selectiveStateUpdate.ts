/** One step of the selective scan, as the specs that hold for every op see it. */
import * as fc from 'fast-check';
import type {SelectiveStateUpdateArgs} from '../../../src/ops/selectiveStateUpdate';
import {selectiveStateUpdate} from '../../../src/ops/selectiveStateUpdate';
import type {StateUpdateReferenceInputs} from '../../../src/ops/selectiveStateUpdate/reference';
import {
  selectiveStateUpdateGradReference,
  selectiveStateUpdateReference,
} from '../../../src/ops/selectiveStateUpdate/reference';
import type {Arrays} from '../../support/arrays';
import {mapValues, normal, reshaped, seededRandom} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {divisor, either, product, seeds} from './draw';
import type {Decay} from './scanNumbers';
import {decays, stateMatrix, stepBias, stepSizes} from './scanNumbers';

export interface StateUpdateParams {
  batch: number;
  channels: number;
  dState: number;
  /** Chooses among the divisors of `channels`; undefined is [B,N]. */
  groupsB: number | undefined;
  groupsC: number | undefined;
  hasD: boolean;
  hasZ: boolean;
  hasBias: boolean;
  deltaSoftplus: boolean;
  decay: Decay;
  seed: number;
}

const arbitrary: fc.Arbitrary<StateUpdateParams> = fc.record({
  batch: fc.integer({min: 1, max: 4}),
  channels: fc.integer({min: 1, max: 24}),
  dState: fc.oneof(fc.integer({min: 1, max: 9}), fc.constantFrom(16, 17, 64)),
  groupsB: fc.option(fc.nat(3), {nil: undefined}),
  groupsC: fc.option(fc.nat(3), {nil: undefined}),
  hasD: fc.boolean(),
  hasZ: fc.boolean(),
  hasBias: fc.boolean(),
  deltaSoftplus: fc.boolean(),
  decay: fc.constantFrom(...decays),
  seed: seeds,
});

const combinations = product<StateUpdateParams>({
  batch: [2],
  channels: [4],
  dState: [3],
  groupsB: [undefined, 1],
  groupsC: [undefined, 2],
  hasD: either,
  hasZ: either,
  hasBias: either,
  deltaSoftplus: either,
  decay: ['usual'],
  seed: [8],
});

function build(params: StateUpdateParams) {
  const {batch, channels, dState, deltaSoftplus} = params;
  const random = seededRandom(params.seed);
  const projection = (groupIndex: number | undefined) =>
    normal(random, groupIndex === undefined ? [batch, dState] : [batch, divisor(channels, groupIndex), dState]);
  const inputs: Arrays = {
    state: normal(random, [batch, channels, dState]),
    u: normal(random, [batch, channels]),
    delta: stepSizes(random, [batch, channels], deltaSoftplus),
    A: stateMatrix(random, channels, dState, params.decay),
    B: projection(params.groupsB),
    C: projection(params.groupsC),
    ...(params.hasD && {D: normal(random, [channels])}),
    ...(params.hasZ && {z: normal(random, [batch, channels])}),
    ...(params.hasBias && {deltaBias: stepBias(random, channels, deltaSoftplus)}),
  };
  return {inputs, options: {deltaSoftplus}};
}

function withGroups(inputs: Arrays): StateUpdateReferenceInputs {
  const grouped = mapValues(inputs, (array, name) => {
    const [batch, dState] = array.shape;
    const lacksGroups = (name === 'B' || name === 'C') && array.shape.length === 2;
    return lacksGroups ? reshaped(array, [batch, 1, dState]) : array;
  });
  return grouped as unknown as StateUpdateReferenceInputs;
}

export const stateUpdateCase: OpUnderTest<StateUpdateParams> = {
  op: 'selectiveStateUpdate',
  arbitrary,
  combinations,
  build,
  run: (inputs, options) => selectiveStateUpdate({...inputs, ...options} as unknown as SelectiveStateUpdateArgs),
  reference: ({inputs, options}) => selectiveStateUpdateReference(withGroups(inputs), options.deltaSoftplus as boolean),
  referenceGradient: ({inputs, options}, {y, state}) => {
    const softplus = options.deltaSoftplus as boolean;
    const gradients = selectiveStateUpdateGradReference(withGroups(inputs), softplus, y, state) as Arrays;
    return mapValues(gradients, (array, name) => reshaped(array, inputs[name].shape));
  },
};
