/** The selective scan, as the specs that hold for every op see it. */
import type * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import type {SelectiveScanArgs} from '../../../src/ops/selectiveScan';
import {selectiveScan} from '../../../src/ops/selectiveScan';
import type {ScanReferenceInputs} from '../../../src/ops/selectiveScan/reference';
import {selectiveScanGradReference, selectiveScanReference} from '../../../src/ops/selectiveScan/reference';
import type {Array64, Arrays} from '../../support/arrays';
import {mapValues, normal, reshaped, seededRandom} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {idsOf, packedIds} from './documents';
import {divisor, either, lengths, product, seeds} from './draw';
import type {Decay} from './scanNumbers';
import {decays, stateMatrix, stepBias, stepSizes} from './scanNumbers';

/** [B,L,N], [B,L,G,N] or [D,N]. */
const forms = ['sequence', 'grouped', 'constant'] as const;
type Form = (typeof forms)[number];

export interface ScanParams {
  batch: number;
  length: number;
  channels: number;
  dState: number;
  formB: Form;
  formC: Form;
  /** Chooses among the divisors of `channels`; B and C may differ. */
  groupsB: number;
  groupsC: number;
  hasD: boolean;
  hasZ: boolean;
  hasBias: boolean;
  hasInitialState: boolean;
  deltaSoftplus: boolean;
  decay: Decay;
  seed: number;
  /** Whether the rows are packed documents. */
  isPacked?: boolean;
}

const arbitrary: fc.Arbitrary<ScanParams> = fc.record({
  batch: fc.integer({min: 1, max: 3}),
  length: lengths,
  channels: fc.integer({min: 1, max: 9}),
  dState: fc.oneof(fc.integer({min: 1, max: 9}), fc.constantFrom(16, 17)),
  formB: fc.constantFrom(...forms),
  formC: fc.constantFrom(...forms),
  groupsB: fc.nat(3),
  groupsC: fc.nat(3),
  hasD: fc.boolean(),
  hasZ: fc.boolean(),
  hasBias: fc.boolean(),
  hasInitialState: fc.boolean(),
  deltaSoftplus: fc.boolean(),
  decay: fc.constantFrom(...decays),
  seed: seeds,
  isPacked: fc.boolean(),
});

const flags = product<ScanParams>({
  batch: [2],
  length: [3],
  channels: [4],
  dState: [2],
  formB: forms,
  formC: forms,
  groupsB: [1],
  groupsC: [2],
  hasD: either,
  hasZ: either,
  hasBias: either,
  hasInitialState: either,
  deltaSoftplus: either,
  decay: ['usual'],
  seed: [7],
});

const combinations = [
  ...flags,
  ...flags
    .filter(({hasD, hasBias, deltaSoftplus}) => hasD && hasBias && deltaSoftplus)
    .map((params) => ({...params, length: 4, isPacked: true})),
];

function build(params: ScanParams) {
  const {batch, length, channels, dState, deltaSoftplus} = params;
  const random = seededRandom(params.seed);
  const sequence = [batch, length, channels];
  const projection = (form: Form, groupIndex: number): Array64 => {
    switch (form) {
      case 'sequence':
        return normal(random, [batch, length, dState]);
      case 'grouped':
        return normal(random, [batch, length, divisor(channels, groupIndex), dState]);
      case 'constant':
        return normal(random, [channels, dState]);
    }
  };
  const inputs: Arrays = {
    u: normal(random, sequence),
    delta: stepSizes(random, sequence, deltaSoftplus),
    A: stateMatrix(random, channels, dState, params.decay),
    B: projection(params.formB, params.groupsB),
    C: projection(params.formC, params.groupsC),
    ...(params.hasD && {D: normal(random, [channels])}),
    ...(params.hasZ && {z: normal(random, sequence)}),
    ...(params.hasBias && {deltaBias: stepBias(random, channels, deltaSoftplus)}),
    ...(params.hasInitialState && {initialState: normal(random, [batch, channels, dState])}),
  };
  const sequenceIds = params.isPacked ? {sequenceIds: packedIds(random, batch, length)} : {};
  return {inputs, options: {deltaSoftplus, ...sequenceIds}};
}

/** The inputs as the reference takes them: a projection per position has its group axis. */
function withGroups(inputs: Arrays): ScanReferenceInputs {
  const grouped = mapValues(inputs, (array, name) => {
    const {shape} = array;
    const lacksGroups = (name === 'B' || name === 'C') && shape.length === 3;
    return lacksGroups ? reshaped(array, [shape[0], shape[1], 1, shape[2]]) : array;
  });
  return grouped as unknown as ScanReferenceInputs;
}

export const scanCase: OpUnderTest<ScanParams> = {
  op: 'selectiveScan',
  arbitrary,
  combinations,
  build,
  run: (inputs, options) => selectiveScan({...inputs, ...options} as unknown as SelectiveScanArgs),
  reference: ({inputs, options}) =>
    selectiveScanReference(withGroups(inputs), options.deltaSoftplus as boolean, idsOf(options)),
  referenceGradient: ({inputs, options}, {y, finalState}) => {
    const softplus = options.deltaSoftplus as boolean;
    const gradients = selectiveScanGradReference(withGroups(inputs), softplus, y, finalState, idsOf(options)) as Arrays;
    return mapValues(gradients, (array, name) => reshaped(array, inputs[name].shape));
  },
};

/** Runs the scan on named tensors. */
export function runScan(inputs: Record<string, tf.Tensor>, deltaSoftplus: boolean) {
  return selectiveScan({...inputs, deltaSoftplus} as unknown as SelectiveScanArgs);
}
