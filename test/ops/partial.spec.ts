/**
 * Gradients in other settings: of one output alone with respect to one input alone, and of inputs that other ops use too; nothing is
 * left behind.
 */
import * as tf from '@tensorflow/tfjs';
import type {Arrays} from '../support/arrays';
import {fill, mapValues, readAndDispose, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {describeComposed} from '../support/composedKernels';
import {backendSettings, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {evaluate, projected, projectionsOf} from './opUnderTest';

async function gradientOf(op: OpUnderTest, {inputs, options}: OpCase, input: string, projections: Arrays) {
  const gradient = tf.tidy(() => {
    const tensors = mapValues(inputs, toTensor);
    const dys = mapValues(projections, toTensor);
    return tf.grad((x) => projected(op.run({...tensors, [input]: x}, options), dys))(tensors[input]);
  });
  return readAndDispose({[input]: gradient});
}

function oneByOne(): void {
  for (const op of opsUnderTest) {
    it(`of ${op.op} is right`, async () => {
      const testCase = op.build(op.combinations[op.combinations.length - 1]);
      const projections = projectionsOf(op.reference(testCase), randomSeed);
      const before = tf.memory().numTensors;
      for (const output of Object.keys(projections)) {
        const others = mapValues(projections, ({shape}) => fill(shape, () => 0));
        const expected = op.referenceGradient(testCase, {...others, [output]: projections[output]});
        for (const input of Object.keys(testCase.inputs)) {
          const gradient = await gradientOf(op, testCase, input, {[output]: projections[output]});
          const wrong = mismatches(gradient, {[input]: expected[input]}, backendSettings().gradient);
          expect(wrong).withContext(`of ${output}`).toEqual([]);
        }
      }
      expect(tf.memory().numTensors).toBe(before);
    });
  }
}

describe('the gradient of one output with respect to one input', () => oneByOne());

describeComposed('the gradient of one output with respect to one input, composed of TensorFlow.js ops,', () => {
  oneByOne();
});

describe('the gradient of an input that other ops use too', () => {
  // The engine disposes a gradient once it has added it to another of the same tensor: no two inputs may share one.
  for (const op of opsUnderTest) {
    it(`is added to that of ${op.op}`, async () => {
      for (const params of [op.combinations[0], op.combinations[op.combinations.length - 1]]) {
        const {inputs, options} = op.build(params);
        const reference = op.reference({inputs, options});
        const projections = projectionsOf(reference, randomSeed);
        const gradients = op.referenceGradient({inputs, options}, projections);
        const one = {shape: [], values: Float64Array.of(1)};
        const result = await evaluate(
          (tensors) => {
            const present = Object.values(tensors).filter(({size}) => size > 0); // the GPU backends cannot sum nothing
            const squares = present.map((x) => x.square().sum().mul(0.5));
            return {...op.run(tensors, options), squares: squares.reduce((a, b) => a.add(b))};
          },
          inputs,
          {...projections, squares: one},
        );
        const expected = mapValues(gradients, ({shape, values}, name) => ({
          shape,
          values: values.map((g, i) => g + inputs[name].values[i]),
        }));
        expect(mismatches(result.gradients, expected, backendSettings().gradient)).toEqual([]);
      }
    });
  }
});

describe('unsortedSegmentSum, which the gradient of an embedding is made of,', () => {
  it('sums the rows of each segment and drops those of negative ones', async () => {
    const sums = tf.tidy(() =>
      tf.unsortedSegmentSum(tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]), tf.tensor1d([2, 0, 2, -1], 'int32'), 4),
    );
    const {result} = await readAndDispose({result: sums});
    expect(result.shape).toEqual([4, 2]);
    expect([...result.values]).toEqual([3, 4, 0, 0, 6, 8, 0, 0]);
  });
});
