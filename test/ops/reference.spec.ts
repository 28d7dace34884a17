/**
 * The gradient oracle: the analytic backward of every reference against central differences of its forward, in float64. The loss
 * is a fixed random projection of all outputs, final states included; gradients small and large are probed.
 */
import * as fc from 'fast-check';
import type {Arrays} from '../support/arrays';
import {integer, seededRandom} from '../support/arrays';
import {randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {projectionsOf} from './opUnderTest';

function loss(op: OpUnderTest, testCase: OpCase, projections: Arrays): number {
  const outputs = op.reference(testCase);
  return Object.entries(projections).reduce(
    (sum, [name, {values}]) => values.reduce((s, p, i) => s + p * outputs[name].values[i], sum),
    0,
  );
}

/** The central difference of fourth order: its error is of order h⁴, so h can be large enough for 11 digits. */
function centralDifference(f: (shift: number) => number, h: number): number {
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

/** The first step gives the most digits; the others are for functions that bend sharply, such as a strong decay. */
const steps = [1e-3, 1e-4, 1e-5];

/** All elements of a small tensor; of others the largest gradient, the smallest that is not zero, and some at random. */
function probes(gradient: Float64Array): number[] {
  if (gradient.length <= 32) {
    return Array.from(gradient.keys());
  }
  const bySize = Array.from(gradient.keys()).sort((i, j) => Math.abs(gradient[i]) - Math.abs(gradient[j]));
  const random = seededRandom(randomSeed);
  const chosen = Array.from({length: 6}, () => integer(random, 0, gradient.length - 1));
  return [bySize.find((i) => gradient[i] !== 0) ?? 0, bySize[bySize.length - 1], ...chosen];
}

/** Where the analytic gradient is not the slope, in words. */
function wrongGradients(op: OpUnderTest, testCase: OpCase): string[] {
  const projections = projectionsOf(op.reference(testCase), randomSeed);
  const gradients = op.referenceGradient(testCase, projections);
  const magnitude = Math.abs(loss(op, testCase, projections)) + 1;
  return Object.entries(testCase.inputs).flatMap(([name, {shape, values}]) =>
    probes(gradients[name].values).flatMap((i) => {
      const lossAt = (shift: number) => {
        const shifted = {shape, values: values.slice()};
        shifted.values[i] += shift;
        return loss(op, {...testCase, inputs: {...testCase.inputs, [name]: shifted}}, projections);
      };
      const analytic = gradients[name].values[i];
      // A small gradient must be right in itself, down to what rounding leaves of the difference.
      const right = steps.some((h) => {
        const rounding = (1e-14 * magnitude) / h;
        return Math.abs(centralDifference(lossAt, h) - analytic) <= 1e-8 * Math.abs(analytic) + rounding;
      });
      const slope = () => centralDifference(lossAt, steps[0]);
      return right
        ? []
        : [`${name}[${i}]: slope ${slope()}, gradient ${analytic}, ${JSON.stringify(testCase.options)}`];
    }),
  );
}

describe('the gradient of the reference', () => {
  for (const op of opsUnderTest) {
    it(`of ${op.op} is the slope for every combination of flags`, () => {
      const wrong = op.combinations.flatMap((params) => wrongGradients(op, op.build(params)));
      expect(wrong).toEqual([]);
    });

    it(`of ${op.op} has every input and nothing else`, () => {
      for (const params of op.combinations) {
        const testCase = op.build(params);
        const gradients = op.referenceGradient(testCase, projectionsOf(op.reference(testCase), randomSeed));
        expect(Object.keys(gradients).sort()).toEqual(Object.keys(testCase.inputs).sort());
      }
    });

    it(`of ${op.op} is the slope for random shapes`, () => {
      const drawn = fc.sample(op.arbitrary, {numRuns: 25, seed: randomSeed});
      const wrong = drawn.flatMap((params) => wrongGradients(op, op.build(params)));
      expect(wrong).toEqual([]);
    });
  }
});
