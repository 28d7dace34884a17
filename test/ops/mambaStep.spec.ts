/** One token through one block, against the float64 references of its parts, whatever the shape; fused or composed. */
import * as fc from 'fast-check';
import type {MambaStepArgs} from '../../src/ops/mambaStep';
import {mambaStep} from '../../src/ops/mambaStep';
import type {StepInputs} from '../../src/ops/mambaStep/kernels';
import {mambaStepReference} from '../../src/ops/mambaStep/reference';
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, normal, readAndDispose, seededRandom, toTensor, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {seeds} from './cases/draw';

interface StepParams {
  batch: number;
  dModel: number;
  dInner: number;
  dState: number;
  width: number;
  rank: number;
  hasConvBias: boolean;
  hasBias: boolean;
  seed: number;
}

const shapes: fc.Arbitrary<StepParams> = fc.record({
  batch: fc.integer({min: 1, max: 3}),
  dModel: fc.integer({min: 1, max: 40}),
  dInner: fc.oneof(fc.integer({min: 1, max: 30}), fc.constantFrom(63, 65, 300)),
  dState: fc.oneof(fc.integer({min: 1, max: 9}), fc.constantFrom(16, 17)),
  width: fc.integer({min: 1, max: 5}),
  rank: fc.integer({min: 1, max: 9}),
  hasConvBias: fc.boolean(),
  hasBias: fc.boolean(),
  seed: seeds,
});

/**
 * An output is a sum of dInner terms of either sign: where it is the only one, they may cancel, and an error relative to it says
 * nothing. So there are always a few, of which the largest is the measure.
 */
const params = shapes.map((drawn) => (drawn.dModel < 4 ? {...drawn, batch: 8} : drawn));

function build({batch, dModel, dInner, dState, width, rank, hasConvBias, hasBias, seed}: StepParams): Arrays {
  const random = seededRandom(seed);
  const matrix = (rows: number, columns: number): Array64 => normal(random, [rows, columns], rows ** -0.5);
  return {
    x: normal(random, [batch, dModel]),
    conv: normal(random, [batch, width - 1, dInner]),
    ssm: normal(random, [batch, dInner, dState]),
    normWeight: uniform(random, [dModel], 0.5, 1.5),
    inProj: matrix(dModel, 2 * dInner),
    ...(hasBias && {inProjBias: normal(random, [2 * dInner])}),
    convWeight: normal(random, [dInner, width], 0.5),
    ...(hasConvBias && {convBias: normal(random, [dInner])}),
    xProj: matrix(dInner, rank + 2 * dState),
    dtProj: matrix(rank, dInner),
    dtBias: normal(random, [dInner]),
    ALog: fill([dInner, dState], (i) => Math.log((i % dState) + 1)),
    D: normal(random, [dInner]),
    outProj: matrix(dInner, dModel),
    ...(hasBias && {outProjBias: normal(random, [dModel])}),
  };
}

async function compare(inputs: Arrays): Promise<string[]> {
  const tensors = mapValues(inputs, toTensor);
  const outputs = await readAndDispose(mambaStep(tensors as unknown as MambaStepArgs));
  for (const tensor of Object.values(tensors)) tensor.dispose();
  const expected = mambaStepReference(inputs as unknown as StepInputs<Array64>, 1e-5);
  return mismatches(outputs, expected, backendSettings().output);
}

describe('mambaStep', () => {
  it('agrees with the references of its parts at random shapes', async () => {
    const property = fc.asyncProperty(params, async (drawn) => {
      const wrong = await compare(build(drawn));
      if (wrong.length > 0) throw new Error(wrong.join('; '));
    });
    await expectAsync(fc.assert(property, {numRuns: 200, seed: randomSeed})).toBeResolved();
  });

  it('names the argument that is wrong', () => {
    const drawn = {batch: 2, dModel: 4, dInner: 6, dState: 3, width: 4, rank: 2, hasConvBias: true, hasBias: false};
    const tensors = mapValues(build({...drawn, seed: 1}), toTensor) as unknown as MambaStepArgs;
    const wrong = tensors.dtBias.slice([0], [5]);
    expect(() => mambaStep({...tensors, dtBias: wrong})).toThrowError(/^mambaStep: dtBias must have .*\[6\].* \[5\]$/);
    expect(() => mambaStep({...tensors, conv: undefined as never})).toThrowError('mambaStep: conv is missing');
    for (const tensor of [wrong, ...Object.values(tensors)]) tensor.dispose();
  });
});
