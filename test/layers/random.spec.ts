/** Random sizes and options of the layer against the float64 mixer: outputs, states, and the gradient of everything. */
import * as fc from 'fast-check';
import * as layers from '../../src/layers';
import {isWellConditioned, projectionsOf} from '../ops/opUnderTest';
import type {OpUnderTest} from '../ops/opUnderTest';
import type {Arrays} from '../support/arrays';
import {seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import type {MixerOutputs} from '../support/mixerReference';
import {mixerGradReference, mixerReference} from '../support/mixerReference';
import {backendSettings, draws, randomSeed} from '../support/settings';
import type {Sizes, Tensors} from './layerUnderTest';
import {built, evaluateLayer, nonEmpty, randomInputs, setWeights, trainedWeights, withStates} from './layerUnderTest';

interface Params {
  batch: number;
  length: number;
  dModel: number;
  sizes: Sizes;
  hasState: boolean;
  seed: number;
}

const arbitrary: fc.Arbitrary<Params> = fc.record({
  batch: fc.integer({min: 1, max: 3}),
  length: fc.oneof(fc.integer({min: 1, max: 9}), fc.integer({min: 10, max: 40})),
  dModel: fc.integer({min: 1, max: 20}),
  sizes: fc.record({
    dState: fc.integer({min: 1, max: 17}),
    dConv: fc.integer({min: 1, max: 4}),
    expand: fc.constantFrom(1, 2, 3),
    dInner: fc.option(fc.integer({min: 1, max: 24}), {nil: undefined}),
    dtRank: fc.oneof(fc.constant('auto' as const), fc.integer({min: 1, max: 5})),
    convBias: fc.boolean(),
    useBias: fc.boolean(),
  }),
  hasState: fc.boolean(),
  seed: fc.nat(),
});

/** The mixer with its weights among its inputs, as the check of the conditioning wants it. */
const mixer: Partial<OpUnderTest> = {
  reference: ({inputs}: {inputs: Arrays}): Arrays => mixerReference(inputs),
  referenceGradient: ({inputs}: {inputs: Arrays}, projections: Arrays) =>
    mixerGradReference(inputs, projections as MixerOutputs),
};

/** What is wrong with the layer, in words; undefined if the case says nothing because float32 inputs leave its result open. */
async function compareWithReference(params: Params): Promise<string[] | undefined> {
  const random = seededRandom(params.seed);
  const layer = built(layers.mamba({...params.sizes, returnState: true}), params.dModel);
  const weights = trainedWeights(layer, random);
  setWeights(layer, weights);
  const {x, ...state} = randomInputs(random, params, layer.mixerConfig);
  const inputs: Arrays = params.hasState ? {x, ...state} : {x};
  const testCase = {inputs: {...inputs, ...weights}, options: {}};
  try {
    const expected = mixerReference(testCase.inputs);
    const projections = projectionsOf(expected, randomSeed);
    const run = (tensors: Tensors) =>
      nonEmpty(withStates(layer.apply(params.hasState ? [tensors.x, tensors.conv, tensors.ssm] : tensors.x)));
    const {outputs, gradients} = await evaluateLayer(layer, run, inputs, nonEmpty(projections));
    const {output, gradient} = backendSettings();
    const expectedGradients = mixerGradReference(testCase.inputs, projections as MixerOutputs);
    const wrong = [
      ...mismatches(outputs, nonEmpty<Arrays[string]>(expected), output),
      ...mismatches(nonEmpty(gradients), nonEmpty(expectedGradients), gradient).map((text) => `gradient of ${text}`),
    ];
    // Asked of the wrong ones only, as the answer takes the reference twice more.
    return wrong.length === 0 || isWellConditioned(mixer as OpUnderTest, testCase, randomSeed) ? wrong : undefined;
  } finally {
    layer.dispose();
  }
}

describe('a Mamba layer', () => {
  it('of random sizes and options agrees with the reference, forward and backward', async () => {
    const property = fc.asyncProperty(arbitrary, async (params) => {
      const wrong = await compareWithReference(params);
      fc.pre(wrong !== undefined);
      if (wrong.length > 0) {
        throw new Error(wrong.join('; '));
      }
    });
    await expectAsync(fc.assert(property, {numRuns: draws(40), seed: randomSeed})).toBeResolved();
  });
});
