/** One step of Mamba-2's scan, as the specs that hold for every op see it. */
import * as fc from 'fast-check';
import type {SsdStepArgs} from '../../../src/ops/ssdStep';
import {ssdStep} from '../../../src/ops/ssdStep';
import type {SsdStepReferenceInputs} from '../../../src/ops/ssdStep/reference';
import {ssdStepGradReference, ssdStepReference} from '../../../src/ops/ssdStep/reference';
import type {Arrays} from '../../support/arrays';
import {mapValues, normal, reshaped, seededRandom} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {either, product} from './draw';
import type {HeadParams} from './ssd';
import {headArbitraries, headInputs, headOptions, limits, skips, stepAttrs, withGroups} from './ssd';

const combinations = product<HeadParams>({
  batch: [2],
  heads: [4],
  headDim: [3],
  dState: [3],
  groups: [undefined, 1],
  skip: skips,
  hasZ: either,
  hasBias: [true],
  deltaSoftplus: either,
  limit: limits,
  decay: ['usual'],
  seed: [8],
});

const forReference = (inputs: Arrays) => withGroups(inputs, 1) as unknown as SsdStepReferenceInputs;

export const ssdStepCase: OpUnderTest<HeadParams> = {
  op: 'ssdStep',
  arbitrary: fc.record({...headArbitraries, dState: fc.oneof(headArbitraries.dState, fc.constantFrom(64, 128, 256))}),
  combinations,
  build: (params) => {
    const random = seededRandom(params.seed);
    const {batch, heads, headDim, dState} = params;
    const state = normal(random, [batch, heads, headDim, dState]);
    return {inputs: {state, ...headInputs(random, params, [batch])}, options: headOptions(params)};
  },
  run: (inputs, options) => ssdStep({...inputs, ...options} as unknown as SsdStepArgs),
  reference: ({inputs, options}) => ssdStepReference(forReference(inputs), stepAttrs(options)),
  referenceGradient: ({inputs, options}, {y, state}) => {
    const gradients = ssdStepGradReference(forReference(inputs), stepAttrs(options), y, state) as Arrays;
    return mapValues(gradients, (array, name) => reshaped(array, inputs[name].shape));
  },
};
