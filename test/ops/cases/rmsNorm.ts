/** The root-mean-square norm, as the specs that hold for every op see it. */
import * as fc from 'fast-check';
import type {RmsNormArgs} from '../../../src/ops/rmsNorm';
import {rmsNorm} from '../../../src/ops/rmsNorm';
import type {RmsNormReferenceInputs} from '../../../src/ops/rmsNorm/reference';
import {rmsNormGradReference, rmsNormReference} from '../../../src/ops/rmsNorm/reference';
import type {Arrays} from '../../support/arrays';
import {normal, seededRandom} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {either, product, seeds} from './draw';

export interface RmsNormParams {
  lead: number[];
  channels: number;
  hasResidual: boolean;
  scale: number;
  epsilon: number | undefined;
  seed: number;
}

/**
 * With one channel, y is nearly the sign of x and its slope a difference that cancels down to ε; a large ε keeps that slope a number
 * float32 can hold.
 */
const epsilonOf = ({channels, epsilon}: RmsNormParams) => (channels === 1 ? 0.5 : epsilon);

export const rmsNormCase: OpUnderTest<RmsNormParams> = {
  op: 'rmsNorm',
  arbitrary: fc.record({
    lead: fc.array(fc.integer({min: 1, max: 5}), {maxLength: 3}),
    channels: fc.oneof(fc.integer({min: 1, max: 20}), fc.constantFrom(64, 255, 256, 257, 768)),
    hasResidual: fc.boolean(),
    scale: fc.constantFrom(0.01, 1, 100),
    epsilon: fc.constantFrom(undefined, 1e-6, 1e-5, 0.1),
    seed: seeds,
  }),
  combinations: product<RmsNormParams>({
    lead: [[], [3], [2, 3], [2, 1, 2]],
    channels: [1, 2, 5],
    hasResidual: either,
    scale: [1],
    epsilon: [undefined, 0.3],
    seed: [11],
  }),
  build: (params) => {
    const {lead, channels, hasResidual, scale, seed} = params;
    const random = seededRandom(seed);
    const inputs: Arrays = {
      x: normal(random, [...lead, channels], scale),
      weight: normal(random, [channels]),
      ...(hasResidual && {residual: normal(random, [...lead, channels], scale)}),
    };
    const epsilon = epsilonOf(params);
    return {inputs, options: epsilon === undefined ? {} : {epsilon}};
  },
  run: (inputs, options) => ({...rmsNorm({...inputs, ...options} as unknown as RmsNormArgs)}),
  reference: ({inputs, options: {epsilon = 1e-5}}) => ({
    ...rmsNormReference(inputs as unknown as RmsNormReferenceInputs, epsilon as number),
  }),
  referenceGradient: ({inputs, options: {epsilon = 1e-5}}, {y, residual}) =>
    rmsNormGradReference(inputs as unknown as RmsNormReferenceInputs, epsilon as number, y, residual),
};
